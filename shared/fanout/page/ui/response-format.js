/**
 * The response format of requests: a JSON schema, and how responses are checked by it. Pure.
 *
 * The gateway has the last word on a schema; this finds what can be corrected before a request.
 */

export const MAX_ATTEMPTS = 10;
export const MAX_ESCALATE = 10;
const MAX_CHARACTERS = 128 * 1024; // of a schema, as at the gateway
const MAX_DEPTH = 100; // that is looked at
const MAX_NAME = 64; // characters, see `json_schema.name` in OpenAI's reference

/**
 * @typedef {{schema: string, attempts: number | null, escalate: string[]}} Format
 * the text of the schema, the calls of one model for one response, and the models to ask next
 */

/** @type {Format} */
export const NO_FORMAT = { schema: "", attempts: null, escalate: [] };

const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];
const MARKS = ["type", "properties", "$ref", "anyOf", "allOf", "oneOf", "enum"]; // one is in each schema
const MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const LISTS = ["anyOf", "allOf", "oneOf", "prefixItems"];
const SINGLE = ["items", "additionalProperties", "contains", "propertyNames", "not", "if", "then"];

/** Returns what is wrong with the text of a schema, or ""; there may be none. @param {string} text */
export function schemaProblem(text) {
  return read(text).problem;
}

/**
 * Returns the fields of a request for this format; none without a schema.
 * @param {Format | undefined} format
 */
export function formatFields(format) {
  const { named } = read(format?.schema ?? "");
  if (!format || !named) return {};
  const { attempts, escalate } = format;
  return {
    response_format: { type: "json_schema", json_schema: named },
    fanout: {
      check: true,
      ...(attempts ? { attempts } : {}),
      ...(escalate.length ? { escalate } : {}),
    },
  };
}

/**
 * Reads a JSON schema, or a whole `response_format` with one.
 * @param {string} text
 * @returns {{problem: string, named: any}} `named` is the `json_schema` of a request, or null
 */
function read(text) {
  const wrong = (/** @type {string} */ problem) => ({ problem, named: null });
  if (!text.trim()) return wrong("");
  if (text.length > MAX_CHARACTERS) return wrong("The schema has over 128 KiB.");
  /** @type {any} */
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return wrong(`This is not JSON: ${/** @type {Error} */ (error).message}.`);
  }
  if (!isObject(value)) return wrong("A JSON schema is an object: {…}.");
  const isFormat = ["json_schema", "json_object", "text"].includes(value.type);
  const given = isFormat ? value.json_schema : { name: nameOf(value), schema: value };
  if (!isObject(given?.schema)) return wrong("There is no `json_schema.schema` in it.");
  if (!MARKS.some((mark) => Object.hasOwn(given.schema, mark)))
    return wrong("A JSON schema has a `type` or `properties`.");
  const problem = problemIn(given.schema, "", 0);
  if (problem) return wrong(`${problem}.`);
  const named = { name: "response", ...given };
  if (!isFormat && isStrict(given.schema)) named.strict = true;
  return { problem: "", named };
}

/** The name of a schema: its title. @param {any} schema */
function nameOf({ title }) {
  const name = typeof title === "string" ? title.replace(/[^\w-]/g, "_").slice(0, MAX_NAME) : "";
  return name || "response";
}

/** @param {any} value */
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** @param {any} value */
const isTextList = (value) => Array.isArray(value) && value.every((one) => typeof one === "string");

/**
 * Returns the first problem of a schema and of those in it, or "".
 * @param {any} schema @param {string} path where it is, "" at the top @param {number} depth
 * @returns {string}
 */
function problemIn(schema, path, depth) {
  if (typeof schema === "boolean" || depth > MAX_DEPTH) return "";
  if (!isObject(schema)) return `\`${path}\` is no schema, which is an object`;
  const at = (/** @type {string | number} */ name) => (path ? `${path}.${name}` : `${name}`);
  const { type, required, $ref: ref, enum: values } = schema;
  const types = Array.isArray(type) ? type : type === undefined ? [] : [type];
  const unknown = types.find((one) => !TYPES.includes(one));
  if (unknown !== undefined)
    return `\`${at("type")}\` is ${JSON.stringify(unknown)}, and not one of ${TYPES.join(", ")}`;
  if (required !== undefined && !isTextList(required))
    return `\`${at("required")}\` is not a list of names`;
  if (values !== undefined && !(Array.isArray(values) && values.length))
    return `\`${at("enum")}\` is not a list of values`;
  if (ref !== undefined && !(typeof ref === "string" && ref.startsWith("#")))
    return `\`${at("$ref")}\` does not begin with #: nothing is fetched`;
  return problemInside(schema, at, depth + 1);
}

/**
 * Returns the first problem of the schemas in a schema, or "".
 * @param {any} schema @param {(name: string | number) => string} at @param {number} depth
 */
function problemInside(schema, at, depth) {
  /** @type {[any, string][]} */
  const inside = [];
  for (const name of MAPS) {
    if (schema[name] === undefined) continue;
    if (!isObject(schema[name])) return `\`${at(name)}\` is not an object of schemas`;
    for (const [key, one] of Object.entries(schema[name])) inside.push([one, at(`${name}.${key}`)]);
  }
  for (const name of [...LISTS, ...SINGLE, "else"]) {
    const value = schema[name];
    if (value === undefined) continue;
    const isList = Array.isArray(value);
    if (LISTS.includes(name) && !(isList && value.length))
      return `\`${at(name)}\` is not a list of schemas`;
    for (const [number, one] of (isList ? value : [value]).entries())
      inside.push([one, isList ? at(`${name}[${number}]`) : at(name)]);
  }
  for (const [one, path] of inside) {
    const problem = problemIn(one, path, depth);
    if (problem) return problem;
  }
  return "";
}

/**
 * Returns whether each object keeps OpenAI's rules for `strict`: all properties required, and no
 * other; the rules of `cli/response_schema.py`.
 * @param {any} node @param {number} [depth] @returns {boolean}
 */
function isStrict(node, depth = 0) {
  if (depth > MAX_DEPTH) return false;
  const isInside = (/** @type {any} */ one) => isStrict(one, depth + 1);
  if (Array.isArray(node)) return node.every(isInside);
  if (!isObject(node)) return true;
  if (node.type === "object" || isObject(node.properties)) {
    const names = Object.keys(node.properties ?? {}).sort();
    const required = isTextList(node.required) ? [...new Set(node.required)].sort() : null;
    if (node.additionalProperties !== false || required?.join("\n") !== names.join("\n"))
      return false;
  }
  return Object.values(node).every(isInside);
}
