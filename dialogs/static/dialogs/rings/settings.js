/* The form of the switches, which also says whose they are. */

import { find } from '../page/dom.js';

export const form = find('#rings');

/** The person's id: what this browser remembers for the rings belongs to them. */
export const { me } = form.dataset;

/** Whether a switch is on: 'for_queues', 'for_assigned', 'for_messages' or 'on_desktop'. */
export const isOn = (name) => form.elements[`rings_${name}`].checked;
