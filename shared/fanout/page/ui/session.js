/** What this tab remembers over a reload, and nobody else ever sees. */

/** @param {string} name @param {any} otherwise @returns {any} */
export function recall(name, otherwise) {
  const text = sessionStorage.getItem(name);
  return text === null ? otherwise : JSON.parse(text);
}

/** @param {string} name @param {unknown} value */
export function keep(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    sessionStorage.removeItem(name); // too long to be kept: a reload will not have it
  }
}
