/** Values that this tab keeps over a reload, in its session storage. */

/** @param {string} name @param {any} fallback @returns {any} */
export function loadFromSession(name, fallback) {
  const text = sessionStorage.getItem(name);
  return text === null ? fallback : JSON.parse(text);
}

/** Saves a value; whether the browser had room for it. @param {string} name @param {unknown} value */
export function saveToSession(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    sessionStorage.removeItem(name); // over the browser's storage limit: lost at a reload
    return false;
  }
}
