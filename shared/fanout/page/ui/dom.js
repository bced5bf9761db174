/** Creates and changes elements. Text becomes text nodes; nothing here turns a string into HTML. */

/** @typedef {Node | string | number | null | undefined | false | Child[]} Child */
/** @typedef {Record<string, any>} Props */

/**
 * Creates one element. Props named `on…` become listeners, `vars` CSS variables, and names that
 * the element has as properties are set as such. The others become attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Props | null} [props] @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) setProp(element, name, value);
  append(element, children);
  return element;
}

/** @param {HTMLElement} element @param {string} name @param {any} value */
function setProp(element, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "vars") {
    for (const [key, text] of Object.entries(value)) element.style.setProperty(key, String(text));
  } else if (name === "class") element.className = value;
  else if (name in element && !name.includes("-")) /** @type {any} */ (element)[name] = value;
  else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
}

/** @param {Node} parent @param {Child[]} children */
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.appendChild(child);
    else if (child !== null && child !== undefined && child !== false) {
      parent.appendChild(document.createTextNode(String(child)));
    }
  }
}

/** Replaces all children of an element. @param {Element} parent @param {...Child} children */
export function setChildren(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
}

/**
 * Sets a node's text if it differs, so that an unchanged text causes no layout.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * Creates one SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** @type {Set<() => void>} */
const scheduled = new Set();

/**
 * Runs `work` once before the next frame, however often it is scheduled until then.
 * @param {() => void} work
 */
export function beforeNextFrame(work) {
  if (scheduled.size === 0) requestAnimationFrame(runScheduled);
  scheduled.add(work);
}

function runScheduled() {
  const works = [...scheduled];
  scheduled.clear();
  for (const work of works) work();
}

/** Has screen readers read one sentence aloud, politely. @param {string} text */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

/** Downloads bytes as a file of this name. @param {Blob} blob @param {string} name */
export function downloadBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
