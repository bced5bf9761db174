/** Markdown inside a line to nodes: emphasis, code, links. What is not understood stays text. */

import { h } from "./dom.js";

// Bounded, so that no text can make the search for an end take long.
const INLINE = new RegExp(
  [
    "(?<tick>`{1,3})(?<code>[^`]{1,1000}?)\\k<tick>",
    "\\*\\*(?<strong>[^\\n]{1,1000}?)\\*\\*",
    "\\*(?<em>[^\\s*][^*\\n]{0,1000}?)\\*",
    "(?<!\\w)_(?<under>[^\\s_][^_\\n]{0,1000}?)_(?!\\w)",
    "~~(?<gone>[^~\\n]{1,1000}?)~~",
    "(?<image>!?)\\[(?<label>[^\\]\\n]{0,500})\\]\\((?<target>[^()\\s]{1,2000})\\)",
    "(?<bare>https?://[^\\s<>()\"'`]{1,2000})",
    "\\\\(?<escaped>[\\\\`*_{}\\[\\]()#+.!~|>-])",
  ].join("|"),
  "g",
);

/** The nodes of a text. @param {string} text @returns {(Node | string)[]} */
export function inline(text) {
  /** @type {(Node | string)[]} */
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(nodeOf(match[0], match.groups ?? {}));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

/**
 * @param {string} whole
 * @param {Record<string, string | undefined>} found
 * @returns {Node | string}
 */
function nodeOf(whole, found) {
  if (found.code !== undefined) return h("code", null, found.code);
  if (found.strong !== undefined) return h("strong", null, inline(found.strong));
  if (found.em !== undefined) return h("em", null, inline(found.em));
  if (found.under !== undefined) return h("em", null, inline(found.under));
  if (found.gone !== undefined) return h("del", null, inline(found.gone));
  if (found.escaped !== undefined) return found.escaped;
  if (found.bare !== undefined) return link(found.bare, found.bare, whole);
  return link(found.target ?? "", found.label || (found.target ?? ""), whole);
}

/**
 * A link that leads to the web, or the text as it was. A picture is one too: none is fetched.
 * @param {string} target
 * @param {string} label
 * @param {string} whole
 */
function link(target, label, whole) {
  return isSafe(target)
    ? h("a", { href: target, target: "_blank", rel: "noopener noreferrer nofollow" }, label)
    : whole;
}

/** Whether an address is one of the web. @param {string} target */
export function isSafe(target) {
  return /^(https?:\/\/|mailto:)/i.test(target);
}
