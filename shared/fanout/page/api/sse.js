/** Parses server-sent events from text that arrives in chunks. Pure; HTML standard, section 9.2.6. */

export class EventParser {
  constructor() {
    /** @private the unfinished line */ this.rest = "";
    /** @private @type {string[]} the unfinished event's data lines */ this.data = [];
  }

  /** Returns the data of each event that this chunk completes. Comments are ignored. @param {string} chunk */
  feed(chunk) {
    const text = this.rest + chunk;
    /** @type {string[]} */
    const events = [];
    let start = 0;
    for (;;) {
      const end = lineEnd(text, start);
      if (end === -1) break;
      this.line(text.slice(start, end), events);
      start = text[end] === "\r" && text[end + 1] === "\n" ? end + 2 : end + 1;
    }
    this.rest = text.slice(start);
    return events;
  }

  /** @private @param {string} line @param {string[]} events */
  line(line, events) {
    if (line === "") {
      if (this.data.length) events.push(this.data.join("\n"));
      this.data = [];
    } else if (line.startsWith("data:")) {
      this.data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
}

/**
 * The index of the next CR or LF, or -1. A CR at the end of the text may be half of a CRLF, so it
 * does not count until more text follows.
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
