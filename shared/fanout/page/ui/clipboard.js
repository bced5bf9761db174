/** Copies text, where the browser allows it. */

import { announce } from "./dom.js";

/**
 * Copies `text`; whether that worked. Otherwise `shown`, which has it, is selected to be copied by
 * hand: browsers allow the clipboard over https and on localhost only.
 * @param {string} text
 * @param {Node} shown
 */
export async function copyText(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    announce("Copied.");
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
