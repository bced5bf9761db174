/** Turns a line's inline Markdown into nodes: emphasis, code, links. Everything else stays text. */

import { h } from "./dom.js";

// Each match has a maximum length, so that no text can make the search slow.
const INLINE = new RegExp(
  [
    "(?<tick>`{1,3})(?<code>[^`]{1,1000}?)\\k<tick>",
    "\\*\\*(?<strong>[^\\n]{1,1000}?)\\*\\*",
    "\\*(?<em>[^\\s*][^*\\n]{0,1000}?)\\*",
    "(?<!\\w)_(?<underscored>[^\\s_][^_\\n]{0,1000}?)_(?!\\w)",
    "~~(?<deleted>[^~\\n]{1,1000}?)~~",
    "(?<image>!?)\\[(?<label>[^\\]\\n]{0,500})\\]\\((?<target>[^()\\s]{1,2000})\\)",
    "(?<bareUrl>https?://[^\\s<>()\"'`]{1,2000})",
    "\\\\(?<escaped>[\\\\`*_{}\\[\\]()#+.!~|>-])",
  ].join("|"),
  "g",
);

/** Returns the nodes for a text. @param {string} text @returns {(Node | string)[]} */
export function inlineNodes(text) {
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
  if (found.strong !== undefined) return h("strong", null, inlineNodes(found.strong));
  if (found.em !== undefined) return h("em", null, inlineNodes(found.em));
  if (found.underscored !== undefined) return h("em", null, inlineNodes(found.underscored));
  if (found.deleted !== undefined) return h("del", null, inlineNodes(found.deleted));
  if (found.escaped !== undefined) return found.escaped;
  if (found.bareUrl !== undefined) return link(found.bareUrl, found.bareUrl, whole);
  return link(found.target ?? "", found.label || (found.target ?? ""), whole);
}

/**
 * A link if the address is safe, otherwise the source text. An image becomes a link too, so that
 * no response can make the browser fetch anything.
 * @param {string} target
 * @param {string} label
 * @param {string} whole
 */
function link(target, label, whole) {
  return isSafeUrl(target)
    ? h("a", { href: target, target: "_blank", rel: "noopener noreferrer nofollow" }, label)
    : whole;
}

/** Whether an address is an `http`, `https` or `mailto` URL. @param {string} target */
export function isSafeUrl(target) {
  return /^(https?:\/\/|mailto:)/i.test(target);
}
