import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { gzipSync } from "node:zlib";

import { isBlank, stripped } from "../../../shared/fanout/page/jobs/blanks.js";
import { RowParser } from "../../../shared/fanout/page/jobs/csv-rows.js";
import {
  CsvReader,
  csvToLines,
  detectSeparator,
  guessPromptColumn,
} from "../../../shared/fanout/page/jobs/csv.js";
import { decode, detectEncoding, isDamaged } from "../../../shared/fanout/page/jobs/encodings.js";
import { kindOf } from "../../../shared/fanout/page/jobs/file-kinds.js";
import { jsonLines, openInput } from "../../../shared/fanout/page/jobs/input-file.js";

/** Splits a text or bytes into chunks of this length. */
const split = (whole, length) =>
  Array.from({ length: Math.ceil(whole.length / length) }, (_, at) =>
    whole.slice(at * length, (at + 1) * length),
  );

const cases = (name) =>
  JSON.parse(readFileSync(new URL(`../../support/${name}.json`, import.meta.url), "utf8"));

test("a CSV's rows do not depend on how the file is split", () => {
  const text = 'id,prompt\r\n1,"Say ""hi"", please"\r\n2,"two\nlines"\r\n\r\n3,plain';
  for (const length of [1, 2, 5, 1000]) {
    const parser = new RowParser(",", ({ reason }) => new Error(reason));
    const found = [
      ...split(text, length).flatMap((chunk) => [...parser.feed(chunk)]),
      ...parser.end(),
    ];
    assert.deepEqual(found, [
      { line: 1, cells: ["id", "prompt"] },
      { line: 2, cells: ["1", 'Say "hi", please'] },
      { line: 3, cells: ["2", "two\nlines"] },
      { line: 5, cells: [] },
      { line: 6, cells: ["3", "plain"] },
    ]);
  }
});

test("the column of the prompt is guessed from the first rows", () => {
  assert.equal(guessPromptColumn(["id", "Question", "text"], [["1", "", "long"]]), "Question");
  assert.equal(
    guessPromptColumn(
      ["id", "shop", "city"],
      [
        ["1", "bakery", "Lund"],
        ["2", "x", "y"],
      ],
    ),
    "shop",
  );
  assert.equal(guessPromptColumn(["", "id", ""], [["an index", "1", "a long cell"]]), "id");
  assert.equal(guessPromptColumn([], []), "");
});

test("each row becomes a line with its number, and an empty prompt becomes none", async () => {
  async function* chunks() {
    yield "word;n\nbread;1\n;2\n";
    yield "milk;3\nrice;4";
  }
  const reader = new CsvReader(";");
  const { lines } = await csvToLines(chunks(), reader, "{word}", {
    system: "Be brief, {n}.",
    maxTokens: 9,
    temperature: 0,
    limit: 3,
    fields: { fanout: { check: true } },
  });
  assert.equal(reader.rows, 4);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    ["bread", "milk"].map((content, at) => ({
      custom_id: `row-${at ? 3 : 1}`,
      messages: [
        { role: "system", content: `Be brief, ${at ? 3 : 1}.` },
        { role: "user", content },
      ],
      fanout: { check: true },
      max_completion_tokens: 9,
      temperature: 0,
    })),
  );
});

test("a row whose columns in the template are all empty has no prompt", async () => {
  async function* chunks() {
    yield "a,b\nx,\n, \n";
  }
  const made = await csvToLines(chunks(), new CsvReader(","), "Classify: {a}{b}", {
    system: "",
  });
  assert.deepEqual(
    made.lines.map((line) => JSON.parse(line).messages[0].content),
    ["Classify: x"],
  );
  assert.deepEqual(made.notes, ["1 row without a prompt (the first is row 2) skipped"]);
});

/** Reads a case as the page does, in chunks of this length. */
async function readCase(one, length) {
  const bytes = Buffer.from(one.csv, one.is_bytes ? "latin1" : "utf8");
  async function* read() {
    yield* split(new Uint8Array(bytes), length);
  }
  const named = one.named_encoding;
  const found = named
    ? { encoding: named, isDamaged: await isDamaged(read, named) }
    : await detectEncoding(read);
  if (one.encoding) assert.equal(found.encoding, one.encoding);
  let sample = "";
  for await (const chunk of decode(read(), found.encoding)) sample += chunk;
  const { separator, isNamed } = detectSeparator(sample, true);
  if (one.separator) assert.equal(separator, one.separator);
  const options = { encoding: found.isDamaged ? found.encoding : null, hasFirstLine: isNamed };
  const reader = new CsvReader(one.named_separator ?? separator, options);
  const chunks = decode(read(), found.encoding);
  return csvToLines(chunks, reader, `{${one.column ?? "prompt"}}`, { system: "" });
}

test("the same characters are blank as on the command line", () => {
  const all = Array.from({ length: 0x110000 }, (_, code) => code);
  const blank = all.filter((code) => isBlank(String.fromCodePoint(code)));
  assert.deepEqual(blank, cases("blank_characters"));
  assert.deepEqual(
    all.filter((code) => !stripped(String.fromCodePoint(code))),
    blank,
  );
});

for (const one of cases("csv_cases"))
  test(`the page reads CSV as the command line does: ${JSON.stringify(one.csv).slice(0, 80)}`, async () => {
    for (const length of [1, 3, 1000]) {
      if (one.error) {
        await assert.rejects(readCase(one, length), { message: one.error });
        continue;
      }
      const { lines, notes } = await readCase(one, length);
      const found = lines.map((line) => JSON.parse(line));
      assert.deepEqual(
        found.map((line) => line.messages.at(-1).content),
        one.prompts,
      );
      if (one.ids)
        assert.deepEqual(
          found.map((line) => line.custom_id),
          one.ids,
        );
      const expected = (one.notes ?? []).filter((note) => note.endsWith("skipped"));
      assert.deepEqual(notes, expected);
    }
  });

for (const { head, name, error } of cases("file_kinds"))
  test(`the page names what is no text: ${name} ${head.slice(0, 8)}`, () => {
    assert.equal(kindOf(new Uint8Array(Buffer.from(head, "hex")), name), error);
  });

const LINE = '{"prompt": "Grüße"}\n';

for (const [name, bytes, notes] of [
  ["UTF-8", Buffer.from(LINE), []],
  ["gzip", gzipSync(LINE), []],
  ["gzip and cp1252", gzipSync(Buffer.from(LINE, "latin1")), ["`p.jsonl` is read as cp1252"]],
  ["UTF-16", Buffer.from(`\ufeff${LINE}`, "utf16le"), ["`p.jsonl` is read as UTF-16 LE"]],
  ["carriage returns", Buffer.from(LINE.replace("\n", "\r")), []],
])
  test(`a JSONL file may be ${name}`, async () => {
    const made = await jsonLines(new File([bytes], "p.jsonl"));
    assert.equal(await made.blob.text(), LINE);
    assert.deepEqual(made.notes, notes);
  });

test("a damaged gzip file, and one that holds an archive, are a sentence", async () => {
  const damaged = new File([gzipSync(LINE).subarray(0, 20)], "p.jsonl.gz");
  const message = "`p.jsonl.gz`: the gzip file is damaged, or its end is missing";
  await assert.rejects(openInput(damaged), { message });
  const archive = new File([gzipSync(Buffer.from(`${"\0".repeat(257)}ustar`))], "p.tgz");
  await assert.rejects(openInput(archive), {
    message: "`p.tgz` is a tar archive: unpack it first",
  });
});
