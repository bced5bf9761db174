/** Scrolls several responses together, each to the same share of its length. */

/**
 * Returns a switch. While it is on, scrolling one of `bodies()` scrolls the others.
 * @param {HTMLElement} root what contains the bodies
 * @param {() => HTMLElement[]} bodies
 */
export function synchronisedScrolling(root, bodies) {
  let isOn = false;
  /** Where this code has scrolled to: that event is not the user's. @type {Map<HTMLElement, number>} */
  const expected = new Map();

  /** @param {Event} event */
  function follow({ target }) {
    if (!(target instanceof HTMLElement)) return;
    const own = expected.get(target);
    expected.delete(target);
    if (!isOn || own === target.scrollTop || !bodies().includes(target)) return;
    const share = target.scrollTop / Math.max(1, target.scrollHeight - target.clientHeight);
    for (const body of bodies()) {
      if (body === target) continue;
      const before = body.scrollTop;
      body.scrollTop = share * (body.scrollHeight - body.clientHeight);
      if (body.scrollTop !== before) expected.set(body, body.scrollTop);
    }
  }

  root.addEventListener("scroll", follow, { capture: true, passive: true }); // it does not bubble
  return {
    /** @param {boolean} on */
    set(on) {
      isOn = on;
    },
  };
}
