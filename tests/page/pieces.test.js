import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

import { convert, fillIn, guess, Rows, separatorOf } from "../../shared/fanout/page/csv.js";
import {
  count,
  money,
  moment,
  niceEnd,
  size,
  span,
  speed,
  tick,
  time,
} from "../../shared/fanout/page/format.js";
import { isSafe } from "../../shared/fanout/page/inline.js";
import {
  rate,
  ratePoints,
  refusals,
  secondsLeft,
  withSample,
} from "../../shared/fanout/page/rates.js";
import { newRun } from "../../shared/fanout/page/run.js";
import { curl, python, results } from "../../shared/fanout/page/snippets.js";
import { Events } from "../../shared/fanout/page/sse.js";
import { cause, explain } from "../../shared/fanout/page/words.js";

/** The same text in pieces of this size. */
const cut = (text, length) => text.match(new RegExp(`[^]{1,${length}}`, "g")) ?? [];

test("events are the same however the stream is cut", () => {
  const text =
    ': keep-alive\n\ndata: {"a":1}\r\n\r\ndata: x\rdata:y\r\rdata: [DONE]\n\ndata: unfinished';
  for (const length of [1, 2, 7, 1000]) {
    const events = new Events();
    const found = cut(text, length).flatMap((piece) => events.feed(piece));
    assert.deepEqual(found, ['{"a":1}', "x\ny", "[DONE]"], `pieces of ${length}`);
  }
});

test("a line separator inside an event's text ends no line", () => {
  assert.deepEqual(new Events().feed("data: a\u2028b\u0085c\n\n"), ["a\u2028b\u0085c"]);
});

test("a CSV's rows are the same however it is cut", () => {
  const text = '\uFEFFid,prompt\r\n1,"Say ""hi"", please"\r\n2,"two\nlines"\r\n\r\n3,plain';
  for (const length of [1, 2, 5, 1000]) {
    const rows = new Rows(",");
    const found = [...cut(text, length).flatMap((piece) => rows.feed(piece)), ...rows.end()];
    assert.deepEqual(found, [
      ["id", "prompt"],
      ["1", 'Say "hi", please'],
      ["2", "two\nlines"],
      ["3", "plain"],
    ]);
  }
});

test("a quote that is never closed is told", () => {
  const rows = new Rows(",");
  rows.feed('a,b\n1,"open');
  assert.throws(() => rows.end(), /never closed/);
});

test("the separator and the prompt's column are guessed from the head", () => {
  assert.deepEqual(["a,b", "a;b;c", "a\tb", "alone"].map(separatorOf), [",", ";", "\t", ","]);
  assert.equal(guess(["id", "Question", "text"], [["1", "", "long"]]), "Question");
  assert.equal(
    guess(
      ["id", "shop", "city"],
      [
        ["1", "bakery", "Lund"],
        ["2", "x", "y"],
      ],
    ),
    "shop",
  );
  assert.equal(guess([], []), "");
});

test("a template takes the columns that there are and leaves other braces", () => {
  assert.equal(fillIn("{a} {b} {c} {}", { a: "1", b: "{a}" }), "1 {a} {c} {}");
  assert.equal(fillIn("{constructor}", {}), "{constructor}");
});

test("a CSV becomes lines named by their rows, and empty prompts none", async () => {
  async function* pieces() {
    yield "word;n\nbread;1\n;2\n";
    yield "milk;3";
  }
  const { lines, rows } = await convert(pieces(), ";", "{word}", "Be brief.");
  assert.equal(rows, 3);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    ["bread", "milk"].map((content, at) => ({
      custom_id: `row-${at ? 3 : 1}`,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content },
      ],
    })),
  );
});

test("times, spans and sums are said as people read them", () => {
  assert.deepEqual([84.4, 1240, 12_340, 125_000, null].map(time), [
    "84 ms",
    "1.24 s",
    "12.3 s",
    "2 m 05 s",
    "–",
  ]);
  assert.deepEqual([45, 125, 12_000, 187_200].map(span), [
    "45 s",
    "2 m 05 s",
    "3 h 20 m",
    "2 d 4 h",
  ]);
  assert.deepEqual([0, 3.5, 0.0123, 0.0000041, null].map(money), [
    "$0",
    "$3.50",
    "$0.0123",
    "$0.000004",
    "–",
  ]);
  assert.deepEqual([1234567, 0, null].map(count), ["1,234,567", "0", "–"]);
  assert.deepEqual([38.24, 250, null].map(speed), ["38.2", "250", "–"]);
  assert.deepEqual([12, 3400, 12_345_678].map(size), ["12 B", "3.4 kB", "12 MB"]);
  assert.deepEqual([250, 500, 1500, 2000].map(tick), ["250 ms", "500 ms", "1.5 s", "2 s"]);
});

test("a moment of another day has its date", () => {
  const noon = new Date(2026, 4, 3, 12, 5).getTime();
  assert.equal(moment(noon / 1000, noon), "12:05");
  assert.equal(moment(noon / 1000, noon + 86_400_000), "3 May, 12:05");
});

test("an axis ends at a round number that moves seldom", () => {
  assert.deepEqual(
    [0.35, 1, 1.1, 480, 2001, 6001, 9000].map(niceEnd),
    [0.4, 1, 2, 600, 3000, 8000, 10_000],
  );
});

const seen = (...done) =>
  done.map((one, at) => ({ at: at * 1000, done: one, inFlight: 4, refused: at }));

test("a job's speed is that of its last half minute", () => {
  assert.equal(rate(seen(0)), null);
  assert.equal(rate(seen(0, 10, 20)), 10);
  const slow = [
    ...seen(0, 1000),
    { at: 100_000, done: 1000, inFlight: 1, refused: 1 },
    { at: 110_000, done: 1050, inFlight: 1, refused: 1 },
  ];
  assert.equal(rate(slow), 5);
  assert.equal(secondsLeft(100, 5), 20);
  assert.equal(secondsLeft(0, null), 0);
  assert.equal(secondsLeft(5, 0), null);
});

test("refusals are counted by what is new, also where the count begins anew", () => {
  const samples = [0, 3, 3, 1].map((refused, at) => ({ at, done: 0, inFlight: 0, refused }));
  assert.deepEqual(
    refusals(samples).map((one) => one.value),
    [3, 0, 0],
  );
  assert.deepEqual(
    refusals([{ at: 0, done: 0, inFlight: null, refused: null }, samples[1]]).map(
      (one) => one.value,
    ),
    [null],
  );
  assert.deepEqual(
    ratePoints(seen(0, 2, 6)).map((one) => one.value),
    [2, 3],
  );
});

test("samples are thinned, the old ones first", () => {
  let samples = [];
  for (let at = 0; at < 5000; at += 1)
    samples = withSample(samples, { at, done: at, inFlight: 0, refused: 0 });
  assert.ok(samples.length <= 600);
  assert.equal(samples[0].at, 0);
  assert.deepEqual(
    samples.slice(-3).map((one) => one.at),
    [4997, 4998, 4999],
  );
});

test("every error is said in plain words with what to do", () => {
  const fault = {
    status: 429,
    code: "rate_limit_exceeded",
    message: "`a`: slow down",
    retryAfter: 19.2,
  };
  assert.deepEqual(explain(fault), {
    what: "The provider says: too many requests.",
    advice: "Wait 20 s and ask again.",
    details: "`a`: slow down",
  });
  for (const status of [0, 400, 401, 403, 404, 413, 418, 429, 500, 502, 503, 504, 599]) {
    const { what, advice } = explain({ status, code: "never heard of", message: "" });
    assert.ok(what.endsWith(".") && advice.endsWith("."), String(status));
  }
  assert.equal(cause("nothing we know").what, "Failed for another reason.");
});

test("only addresses of the web become links", () => {
  assert.deepEqual(["https://a.b", "HTTP://a", "mailto:a@b"].map(isSafe), [true, true, true]);
  assert.deepEqual(
    ["javascript:alert(1)", " javascript:x", "data:text/html,x", "//a.b", "vbscript:x"].map(isSafe),
    [false, false, false, false, false],
  );
});

const run = newRun(
  {
    mode: "race",
    models: ["a", "b"],
    system: "",
    prompts: [{ text: "It's \"5\" o'clock", pictures: [] }],
    maxTokens: 5,
    temperature: null,
  },
  1,
  Date.UTC(2026, 0, 2),
);

test("a run as curl is quoted for a shell and has no key in it", () => {
  const shell = `curl() { for word in "$@"; do printf '%s\\0' "$word"; done; }; FANOUT_KEY=k; ${curl("http://x/v1", run)}`;
  const words = execFileSync("/bin/sh", ["-c", shell]).toString().split("\0");
  assert.deepEqual(words.slice(0, 7), [
    ...["-N", "http://x/v1/chat/completions", "-H", "Authorization: Bearer k"],
    ...["-H", "Content-Type: application/json", "-d"],
  ]);
  assert.deepEqual(JSON.parse(words[7]), run.asks[0].body);
});

test("a run as Python is asked through the official client", () => {
  const text = python("http://x/v1", run);
  assert.ok(
    text.includes(
      'client = OpenAI(base_url="http://x/v1", api_key=os.environ.get("FANOUT_KEY", "none"))',
    ),
  );
  assert.ok(
    text.includes(
      '    model="a, b",\n    messages=[{"role": "user", "content": "It\'s \\"5\\" o\'clock"}],\n    max_tokens=5,\n',
    ),
  );
  assert.ok(text.includes('    extra_body={"fastest_response": True},\n'));
});

test("a run as JSON has what was asked, what came, and the choice", () => {
  run.choices[0] = "b";
  const said = JSON.parse(results(run));
  assert.equal(said.asked, "2026-01-02T00:00:00.000Z");
  assert.deepEqual(
    said.requests,
    run.asks.map((ask) => ask.body),
  );
  assert.deepEqual(
    said.answers.map((one) => [one.model, one.chosen]),
    [
      ["a", false],
      ["b", true],
    ],
  );
});
