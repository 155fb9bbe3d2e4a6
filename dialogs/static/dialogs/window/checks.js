/* What is wrong with what was typed. The server decides; these are hints while the visitor still sees the form. */

const EMAIL = /^[^\s@]+@[^\s@]+\.(?:[^\s@]{2,}|[^ -~\s])$/;

/**
 * The problems of contacts, as { field: text }. `given` is what was typed, by field; `names` are the fields to check; `required`
 * are those that must not be empty; `needsEither` says that an e-mail or a phone must be there.
 */
export function contactProblems({ names, given, required, needsEither, texts }) {
  const problems = {};
  names.forEach((name) => {
    if (!given[name] && required.includes(name)) problems[name] = texts.fill_in;
    if (name === 'email' && given.email && !EMAIL.test(given.email)) problems.email = texts.bad_email;
  });
  if (needsEither && names.includes('email') && !given.email && !given.phone) problems.email = texts.fill_either;
  return problems;
}

/** Length as the server counts it: not in UTF-16 units, and composed, as a message is stored. */
export const characters = (text) => Array.from(text.trim().normalize()).length;
