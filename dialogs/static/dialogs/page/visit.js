/* Going to a dialog from a page that is not the workspace. */

export const goToDialog = (number) => location.assign(`/workspace/${number}/`);
