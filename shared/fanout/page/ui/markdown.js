/**
 * A model's answer as it comes, shown as the Markdown that it most likely is.
 *
 * Finished blocks are made once and never touched again; only the last one is made anew, so a long
 * answer costs each frame as little as a short one. Elements are created, never parsed.
 */

import { h } from "./dom.js";
import { inline } from "./markdown-inline.js";

const FENCE = /^\s{0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const MANY = 4000; // characters of an open block beyond which it grows as plain text

export class Markdown {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    /** @private the line that has no end yet */ this.partial = "";
    /** @private @type {string[]} the lines of the open block */ this.lines = [];
    /** @private */ this.size = 0;
    /** @private @type {string} the end of the open fence */ this.fence = "";
    /** @private */ this.code = document.createTextNode("");
    /** @private */ this.tail = this.newTail();
  }

  /** Take what came. @param {string} text */
  append(text) {
    const parts = (this.partial + text).split("\n");
    this.partial = parts.pop() ?? "";
    for (const line of parts) this.line(line.replace(/\r$/, ""));
    this.show();
  }

  /** The answer is whole. */
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

  /** What is in hand of the open block. @private */
  show() {
    if (this.fence || (!this.lines.length && !this.partial)) return;
    const size = this.size + this.partial.length;
    if (size <= MANY) this.tail.replaceChildren(...blocks([...this.lines, this.partial]));
    else this.grow([...this.lines, this.partial].join("\n"));
  }

  /** A long block as a text that only gets longer. @private @param {string} text */
  grow(text) {
    let plain = this.tail.querySelector(":scope > p.plain")?.firstChild;
    if (!(plain instanceof Text)) {
      plain = document.createTextNode("");
      this.tail.replaceChildren(h("p", { class: "plain" }, plain));
    }
    if (plain instanceof Text) plain.appendData(text.slice(plain.length));
  }

  /** The open block is finished: it stays as it is. @private */
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

/** @typedef {{test: RegExp, make: (lines: string[]) => Node[], goesOn?: RegExp}} Kind */

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;

/**
 * @type {Kind[]} in the order in which they are tried; `goesOn` tells which lines follow the first
 */
const KINDS = [
  { test: /^\s{0,3}#{1,6}\s/, make: heading },
  { test: /^\s{0,3}([-*_])(\s*\1){2,}\s*$/, make: () => [h("hr", null)] },
  { test: /^\s{0,3}>/, goesOn: /^\s{0,3}>/, make: quote },
  { test: ITEM, goesOn: /^(\s*([-*+]|\d{1,9}[.)])\s+|\s{2,})/, make: list },
  { test: /^\s*\|.*\|\s*$/, goesOn: /^\s*\|/, make: table },
];

/** The elements of a run of lines without a blank one. @param {string[]} lines @returns {Node[]} */
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
      made.push(h("p", null, inline(lines.slice(at, end).join("\n"))));
    } else {
      while (end < lines.length && kind.goesOn?.test(lines[end] ?? "")) end += 1;
      made.push(...kind.make(lines.slice(at, end)));
    }
    at = end;
  }
  return made;
}

/**
 * Below the page's own headings, for those who jump from one to the next.
 * @param {string[]} lines
 */
function heading(lines) {
  const [, marks = "#", text = ""] = /^\s*(#+)\s+(.*?)\s*#*$/.exec(lines[0] ?? "") ?? [];
  return [h(marks.length === 1 ? "h4" : marks.length === 2 ? "h5" : "h6", null, inline(text))];
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
      item = h("li", null, inline(found[3] ?? ""));
      made.append(item);
    } else inner.push(line.slice(indent + 2));
  }
  finish();
  return [made];
}

/** @param {string[]} lines @returns {Node[]} */
function table(lines) {
  if (!/^[\s|:-]+$/.test(lines[1] ?? "")) return [h("p", null, inline(lines.join("\n")))];
  const cells = (/** @type {string} */ line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|");
  const head = h(
    "tr",
    null,
    cells(lines[0] ?? "").map((cell) => h("th", { scope: "col" }, inline(cell.trim()))),
  );
  const rows = lines.slice(2).map((line) =>
    h(
      "tr",
      null,
      cells(line).map((cell) => h("td", null, inline(cell.trim()))),
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
