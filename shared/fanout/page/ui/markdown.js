/**
 * Renders a streamed response as Markdown while it grows.
 *
 * A finished block is rendered once. Only the last block is rendered again for each update, so a
 * long response takes no more time per frame than a short one. It creates elements and parses no HTML.
 */

import { h } from "./dom.js";
import { inlineNodes } from "./markdown-inline.js";

const FENCE = /^\s{0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const MAX_BLOCK = 4000; // characters; an open block that is longer grows as plain text

export class StreamingMarkdown {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @private the unfinished line */ this.partial = "";
    /** @private @type {string[]} the lines of the open block */ this.lines = [];
    /** @private */ this.size = 0;
    /** @private @type {string} what closes the open code fence */ this.fence = "";
    /** @private */ this.code = document.createTextNode("");
    /** @private */ this.tail = this.newTail();
  }

  /** Adds text to the response. @param {string} text */
  append(text) {
    const parts = (this.partial + text).split("\n");
    this.partial = parts.pop() ?? "";
    for (const line of parts) this.line(line.replace(/\r$/, ""));
    this.show();
  }

  /** Marks the response as complete. */
  end() {
    if (this.partial) this.line(this.partial);
    this.partial = "";
    this.close();
  }

  /** @private @param {string} line */
  line(line) {
    if (this.fence) {
      if (line.trim().startsWith(this.fence) && !line.trim().replaceAll(this.fence[0] ?? "", ""))
        this.close();
      else this.code.appendData(`${line}\n`);
      return;
    }
    const fence = FENCE.exec(line);
    if (fence) {
      this.close();
      this.fence = fence[1] ?? "```";
      this.code = document.createTextNode("");
      const code = h("code", null, this.code);
      const pre = h(
        "pre",
        { tabIndex: 0, "aria-label": fence[2] ? `Code: ${fence[2]}` : "Code" },
        code,
      );
      this.tail.replaceChildren(pre);
    } else if (line.trim() === "") this.close();
    else {
      this.lines.push(line);
      this.size += line.length + 1;
    }
  }

  /** Renders the open block. @private */
  show() {
    if (this.fence || (!this.lines.length && !this.partial)) return;
    const size = this.size + this.partial.length;
    if (size <= MAX_BLOCK) this.tail.replaceChildren(...blocks([...this.lines, this.partial]));
    else this.grow([...this.lines, this.partial].join("\n"));
  }

  /** Renders a long block as plain text, by appending only. @private @param {string} text */
  grow(text) {
    let plain = this.tail.querySelector(":scope > p.plain")?.firstChild;
    if (!(plain instanceof Text)) {
      plain = document.createTextNode("");
      this.tail.replaceChildren(h("p", { class: "plain" }, plain));
    }
    if (plain instanceof Text) plain.appendData(text.slice(plain.length));
  }

  /** Finishes the open block: it is not rendered again. @private */
  close() {
    if (!this.fence && this.lines.length) this.tail.replaceChildren(...blocks(this.lines));
    if (this.tail.hasChildNodes()) this.tail = this.newTail();
    this.lines = [];
    this.size = 0;
    this.fence = "";
  }

  /** @private */
  newTail() {
    const tail = h("div", { class: "block" });
    this.root.append(tail);
    return tail;
  }
}

/** @typedef {{test: RegExp, make: (lines: string[]) => Node[], continues?: RegExp}} Kind */

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;

/**
 * @type {Kind[]} in the order they are tried; lines that match `continues` belong to the first line's block
 */
const KINDS = [
  { test: /^\s{0,3}#{1,6}\s/, make: heading },
  { test: /^\s{0,3}([-*_])(\s*\1){2,}\s*$/, make: () => [h("hr", null)] },
  { test: /^\s{0,3}>/, continues: /^\s{0,3}>/, make: quote },
  { test: ITEM, continues: /^(\s*([-*+]|\d{1,9}[.)])\s+|\s{2,})/, make: list },
  { test: /^\s*\|.*\|\s*$/, continues: /^\s*\|/, make: table },
];

/** Returns the elements for consecutive lines, none of them blank. @param {string[]} lines @returns {Node[]} */
function blocks(lines) {
  /** @type {Node[]} */
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const kind = KINDS.find((one) => one.test.test(line));
    let end = at + 1;
    if (!kind) {
      while (end < lines.length && !KINDS.some((one) => one.test.test(lines[end] ?? ""))) end += 1;
      made.push(h("p", null, inlineNodes(lines.slice(at, end).join("\n"))));
    } else {
      while (end < lines.length && kind.continues?.test(lines[end] ?? "")) end += 1;
      made.push(...kind.make(lines.slice(at, end)));
    }
    at = end;
  }
  return made;
}

/**
 * A heading, at a level below the page's own headings (for screen readers that list headings).
 * @param {string[]} lines
 */
function heading(lines) {
  const [, marks = "#", text = ""] = /^\s*(#+)\s+(.*?)\s*#*$/.exec(lines[0] ?? "") ?? [];
  return [h(marks.length === 1 ? "h4" : marks.length === 2 ? "h5" : "h6", null, inlineNodes(text))];
}

/** @param {string[]} lines */
function quote(lines) {
  return [h("blockquote", null, blocks(lines.map((line) => line.replace(/^\s*>\s?/, ""))))];
}

/** @param {string[]} lines @returns {Node[]} */
function list(lines) {
  const first = ITEM.exec(lines[0] ?? "");
  const indent = first?.[1]?.length ?? 0;
  const made = first?.[2] ? h("ol", { start: Number(first[2]) }) : h("ul", null);
  /** @type {string[]} */
  let inner = [];
  /** @type {HTMLLIElement | null} */
  let item = null;
  const finish = () => {
    if (item && inner.length) item.append(...blocks(inner));
    inner = [];
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && (found[1]?.length ?? 0) <= indent) {
      finish();
      item = h("li", null, inlineNodes(found[3] ?? ""));
      made.append(item);
    } else inner.push(line.slice(indent + 2));
  }
  finish();
  return [made];
}

/** @param {string[]} lines @returns {Node[]} */
function table(lines) {
  if (!/^[\s|:-]+$/.test(lines[1] ?? "")) return [h("p", null, inlineNodes(lines.join("\n")))];
  const cells = (/** @type {string} */ line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|");
  const head = h(
    "tr",
    null,
    cells(lines[0] ?? "").map((cell) => h("th", { scope: "col" }, inlineNodes(cell.trim()))),
  );
  const rows = lines.slice(2).map((line) =>
    h(
      "tr",
      null,
      cells(line).map((cell) => h("td", null, inlineNodes(cell.trim()))),
    ),
  );
  return [
    h(
      "div",
      { class: "scrolls" },
      h("table", null, h("thead", null, head), h("tbody", null, rows)),
    ),
  ];
}
