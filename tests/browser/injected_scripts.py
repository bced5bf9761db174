"""JavaScript that the tests run inside the page, to measure what Playwright cannot."""

RECORD_ANNOUNCEMENTS = """() => {
  window.announcements = [];
  const announcer = document.getElementById("announcer");
  new MutationObserver(() => window.announcements.push(announcer.textContent))
    .observe(announcer, {childList: true, characterData: true, subtree: true});
}"""
"""Sets `announcements` to what screen readers read aloud, in order."""

RECORD_LAYOUT_SHIFTS = """() => {
  window.layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.layoutShift += one.value;
  }).observe({type: "layout-shift", buffered: false});
}"""
"""Sums up unexpected layout shifts in `layoutShift`: https://wicg.github.io/layout-instability/."""

POSITIONS = """() => [...document.querySelectorAll(".card, .timeline")]
  .map((one) => JSON.stringify(one.getBoundingClientRect()))"""
"""Returns the positions and sizes of the cards and the timeline."""

COUNT_EXTRA_CHANGES = """() => {
  window.extraChanges = 0;
  let isDirty = false;
  const tick = () => { isDirty = false; requestAnimationFrame(tick) };
  requestAnimationFrame(tick);
  new MutationObserver((all) => {
    if (!all.some((one) => one.target.parentElement?.closest?.(".text"))) return;
    if (isDirty) window.extraChanges += 1;
    isDirty = true;
  }).observe(document.body, {childList: true, characterData: true, subtree: true});
}"""
"""Counts in `extraChanges` the changes of responses beyond one per frame."""

CONTRAST = """([text, background]) => {
  const style = getComputedStyle(document.documentElement);
  const luminance = (name) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = style.getPropertyValue(name).trim();
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [luminance(text), luminance(background)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
"""Returns the contrast of two of the page's colors: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

UNNAMED = (
    "button:not([aria-label]):empty, img:not([alt]), "
    ":is(input, select, textarea):not([aria-label], [hidden], label *)"
)
"""Selects controls and pictures that have no name for screen readers."""
