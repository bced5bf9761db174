import assert from "node:assert/strict";
import test from "node:test";

import { formatFields, schemaProblem } from "../../../shared/fanout/page/ui/response-format.js";

const OPEN = { type: "object", properties: { label: { enum: ["good", "bad"] } } };
const STRICT = { ...OPEN, required: ["label"], additionalProperties: false };
const format = (schema, more = {}) => ({
  schema: typeof schema === "string" ? schema : JSON.stringify(schema),
  attempts: null,
  escalate: [],
  ...more,
});

test("without a schema, a request has no further fields", () => {
  assert.deepEqual(formatFields(undefined), {});
  assert.deepEqual(formatFields(format("  \n", { attempts: 3, escalate: ["b"] })), {});
  assert.deepEqual(formatFields(format("{broken")), {});
  assert.equal(schemaProblem("  "), "");
});

test("a schema becomes the response format of a checked request", () => {
  assert.deepEqual(formatFields(format(OPEN)), {
    response_format: { type: "json_schema", json_schema: { name: "response", schema: OPEN } },
    fanout: { check: true },
  });
  const { response_format, fanout } = formatFields(
    format({ ...STRICT, title: "My label" }, { attempts: 3, escalate: ["b", "c"] }),
  );
  assert.equal(response_format.json_schema.name, "My_label");
  assert.equal(response_format.json_schema.strict, true);
  assert.deepEqual(fanout, { check: true, attempts: 3, escalate: ["b", "c"] });
});

test("a whole response format is used as it is", () => {
  const json_schema = { name: "review", schema: STRICT, strict: false };
  const text = JSON.stringify({ type: "json_schema", json_schema });
  assert.equal(schemaProblem(text), "");
  assert.deepEqual(formatFields(format(text)).response_format, {
    type: "json_schema",
    json_schema,
  });
});

test("a schema that cannot be used has a reason", () => {
  const cases = [
    ["{", /^This is not JSON: /],
    ["[1]", "A JSON schema is an object: {…}."],
    ["{}", "A JSON schema has a `type` or `properties`."],
    ['{"type": "json_object"}', "There is no `json_schema.schema` in it."],
    [
      '{"type": "object", "properties": {"a": {"type": "text"}}}',
      '`properties.a.type` is "text", and not one of array, boolean, integer, null, number, object, string.',
    ],
    ['{"properties": {"a": 1}}', "`properties.a` is no schema, which is an object."],
    ['{"properties": []}', "`properties` is not an object of schemas."],
    ['{"type": "object", "required": "a"}', "`required` is not a list of names."],
    ['{"enum": []}', "`enum` is not a list of values."],
    ['{"anyOf": {}}', "`anyOf` is not a list of schemas."],
    ['{"anyOf": [{"type": 1}]}', /^`anyOf\[0\]\.type` is 1, /],
    ['{"$ref": "http://a/s"}', "`$ref` does not begin with #: nothing is fetched."],
    ['{"type": "array", "items": {"$ref": 7}}', /^`items\.\$ref` does not begin/],
    [`{"type": "object", "title": "${"x".repeat(200_000)}"}`, "The schema has over 128 KiB."],
  ];
  for (const [text, problem] of cases) {
    if (problem instanceof RegExp) assert.match(schemaProblem(text), problem);
    else assert.equal(schemaProblem(text), problem);
    assert.deepEqual(formatFields(format(text)), {});
  }
});

test("a schema that is usual has no problem, however deep it is", () => {
  const deep = `${'{"type":"array","items":'.repeat(4000)}{"type":"string"}${"}".repeat(4000)}`;
  const values = [
    STRICT,
    { type: ["string", "null"] },
    { $ref: "#/$defs/a", $defs: { a: { type: "integer" } } },
    { type: "array", items: [{ type: "string" }, true], additionalItems: false },
    { type: "object", patternProperties: { "^a": true }, not: { required: ["b"] } },
  ];
  for (const text of [...values.map((one) => JSON.stringify(one)), deep])
    assert.equal(schemaProblem(text), "");
});
