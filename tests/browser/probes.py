"""Scripts that look at the page from inside it."""

HEARD = """() => {
  window.heard = [];
  const announcer = document.getElementById("announcer");
  new MutationObserver(() => window.heard.push(announcer.textContent))
    .observe(announcer, {childList: true, characterData: true, subtree: true});
}"""
"""`heard` is what a screen reader is told, in its order."""

SHIFTS = """() => {
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.shifts += one.value;
  }).observe({type: "layout-shift", buffered: false});
}"""
"""`shifts` is what moves without being asked to: https://wicg.github.io/layout-instability/."""

SHAPES = """() => [...document.querySelectorAll(".card, .timeline")]
  .map((one) => JSON.stringify(one.getBoundingClientRect()))"""
"""Where the big parts are."""

FRAMES = """() => {
  window.changes = 0;
  let isDirty = false;
  const tick = () => { isDirty = false; requestAnimationFrame(tick) };
  requestAnimationFrame(tick);
  new MutationObserver((all) => {
    if (!all.some((one) => one.target.parentElement?.closest?.(".text"))) return;
    if (isDirty) window.changes += 1;
    isDirty = true;
  }).observe(document.body, {childList: true, characterData: true, subtree: true});
}"""
"""`changes` are those of answers beyond the one that each frame may have."""

CONTRAST = """([text, ground]) => {
  const style = getComputedStyle(document.documentElement);
  const light = (name) => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d");
    canvas.fillStyle = style.getPropertyValue(name).trim();
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
"""The contrast of two colours of the page: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

UNNAMED = (
    "button:not([aria-label]):empty, img:not([alt]), "
    ":is(input, select, textarea):not([aria-label], [hidden], label *)"
)
"""Controls and pictures that a screen reader could not name."""
