/** Which characters are blank: the command line has the same ones, in `bulk/input/blanks.py`. Pure. */

const OTHER = /[^\s\x1c-\x1f\x85]/u; // `\s` has neither U+0085 nor U+001C to U+001F

/** Returns whether a text has no character that is not blank. @param {string} text */
export function isBlank(text) {
  return !OTHER.test(text);
}

/** Returns the text without blanks at its start and end. @param {string} text */
export function stripped(text) {
  let [start, end] = [0, text.length];
  while (start < end && isBlank(text.charAt(start))) start += 1;
  while (end > start && isBlank(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
