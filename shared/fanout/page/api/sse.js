/** Server-sent events out of text that comes in pieces. Pure; see the HTML standard, 9.2.6. */

export class Events {
  constructor() {
    /** @private */ this.rest = "";
    /** @private @type {string[]} */ this.data = [];
  }

  /** The events' data that this piece completes; comments are passed over. @param {string} piece */
  feed(piece) {
    const text = this.rest + piece;
    /** @type {string[]} */
    const found = [];
    let start = 0;
    for (;;) {
      const end = lineEnd(text, start);
      if (end === -1) break;
      this.line(text.slice(start, end), found);
      start = text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
    }
    this.rest = text.slice(start);
    return found;
  }

  /** @private @param {string} line @param {string[]} found */
  line(line, found) {
    if (line === "") {
      if (this.data.length) found.push(this.data.join("\n"));
      this.data = [];
    } else if (line.startsWith("data:")) {
      this.data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

/**
 * The next CR or LF; a CR that ends the piece may be half of a CRLF, and waits.
 * @param {string} text
 * @param {number} from
 */
function lineEnd(text, from) {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === "\n") return at;
    if (text[at] === "\r") return at + 1 < text.length ? at : -1;
  }
  return -1;
}
