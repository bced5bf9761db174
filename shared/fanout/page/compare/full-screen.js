/** Shows one element in the whole window, and puts it back where it was. */

import { h } from "../ui/dom.js";

/**
 * Moves `element` into a dialog of the window's size. Escape and `dialog.close()` put it back.
 * @param {HTMLElement} element
 * @param {HTMLElement} scrolled what is scrolled inside it; it stays at its line
 * @param {string} label the dialog's name
 * @param {() => void} closed
 */
export function showFullScreen(element, scrolled, label, closed) {
  const place = h("div", { class: "full-screen-place" });
  const dialog = h("dialog", { class: "full-screen", "aria-label": label, onclose: putBack });

  /** @param {() => void} move */
  function keepingLine(move) {
    const line = scrolled.scrollTop;
    move();
    scrolled.scrollTop = line;
  }

  function putBack() {
    keepingLine(() => place.replaceWith(element));
    dialog.remove();
    closed();
  }

  document.body.append(dialog);
  keepingLine(() => {
    element.replaceWith(place);
    dialog.append(element);
    dialog.showModal();
  });
  return dialog;
}
