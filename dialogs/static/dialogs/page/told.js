/* What the server said of a part of the page when that part was last changed. A part of which it says the same again keeps its
   elements, and with them the focus, what is unfolded, and what this script has written into it. */

const told = new WeakMap();

/** Remembers what the server said of a part. */
export const noteTold = (part, html) => told.set(part, html);

export const forgetTold = (part) => told.delete(part);

export const isNews = (part, html) => told.get(part) !== html;

/** What a part says, whatever token its forms carry: that one is another one each time. */
export const withoutTokens = (html) => html.replace(/csrfmiddlewaretoken" value="\w+"/g, '');
