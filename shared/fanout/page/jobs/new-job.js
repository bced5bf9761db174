/** The form for a new job: an input file, its quote, a cost cap, and the start. */

import { postJson, request, uploadFile } from "../api/client.js";
import { announce, h, setChildren, setText } from "../ui/dom.js";
import { errorBox } from "../ui/error-box.js";
import { formatBytes } from "../ui/format.js";
import { csvForm } from "./csv-form.js";
import { dropZone, uploadedFiles } from "./drop-zone.js";
import { jsonLines, openInput } from "./input-file.js";
import { laneFields } from "./lanes.js";
import { quoteFields, quoteView } from "./quote.js";

const ENDPOINT = "/v1/chat/completions";
const SAMPLE = ["a bakery", "a bicycle shop", "a library", "a night train", "a lighthouse"];

/**
 * @typedef {{id: string, filename: string, isNew: boolean, isTable: boolean}} Input
 * a file at the gateway; `isNew` if this form uploaded it, `isTable` if it was made of a table
 */

/** @param {(batch: any) => void} onStarted */
export function newJobForm(onStarted) {
  /** @type {Input | null} */
  let input = null;
  /** @type {string[]} */
  let models = [];
  const error = errorBox();
  const status = h("p", { class: "hint", role: "status" });
  const step = h("div", { class: "step" });
  const notesList = h("ul", { class: "hint", "aria-label": "How the file was read" });
  const fields = quoteFields(() => void getQuote());
  const { model, cap, window, lane, native } = fields;
  const uploaded = uploadedFiles((id, filename) => void useUploaded(id, filename));
  const dropped = dropZone((file) => void useFile(file), useSample);
  const choice = h("div", { class: "step" }, dropped, uploaded.element);
  const element = h(
    "section",
    { class: "new-job", "aria-label": "New job" },
    h("h2", null, "New job"),
    error.element,
    choice,
    notesList,
    step,
    status,
  );

  /** @param {unknown} reason */
  function showError(reason) {
    setText(status, "");
    error.show(reason);
  }

  /** @param {File} file */
  async function useFile(file) {
    error.clear();
    const name = file.name.replace(/\.gz$/i, "");
    try {
      if (/\.(csv|tsv)$/i.test(name)) {
        await openInput(file);
        choice.hidden = true;
        const done = (/** @type {Blob} */ blob, /** @type {string[]} */ notes) =>
          void upload(blob, name.replace(/\.\w+$/, ".jsonl"), notes, name);
        setChildren(step, csvForm(file, done, reset, showError, models));
        return;
      }
      const { blob, notes } = await jsonLines(file);
      await upload(blob, name.endsWith(".jsonl") ? name : `${name}.jsonl`, notes);
    } catch (reason) {
      showError(reason);
    }
  }

  /** Shows how the file was read. @param {string[]} texts */
  function showNotes(texts) {
    setChildren(
      notesList,
      texts.map((text) => h("li", null, `${text[0]?.toUpperCase()}${text.slice(1)}.`)),
    );
  }

  function useSample() {
    const lines = SAMPLE.map((shop) =>
      JSON.stringify({
        messages: [
          { role: "system", content: "Answer in one short sentence." },
          { role: "user", content: `Write a slogan for ${shop}.` },
        ],
        max_tokens: 40,
      }),
    );
    error.clear();
    void upload(new Blob([`${lines.join("\n")}\n`]), "sample.jsonl");
  }

  /**
   * @param {Blob} blob @param {string} name @param {string[]} [notes]
   * @param {string} [table] the name of the table that the lines were made of
   */
  async function upload(blob, name, notes = [], table = "") {
    choice.hidden = true;
    error.clear();
    showNotes(notes);
    setText(status, `Uploading ${name}, ${formatBytes(blob.size)} …`);
    try {
      await discard();
      const file = await uploadFile(blob, name, (share) =>
        setText(status, `Uploading ${name}: ${Math.round(share * 100)} %`),
      );
      input = {
        id: file.id,
        filename: table || file.filename,
        isNew: true,
        isTable: Boolean(table),
      };
      await getQuote();
    } catch (reason) {
      choice.hidden = false;
      showError(reason);
    }
  }

  /** @param {string} id @param {string} filename */
  async function useUploaded(id, filename) {
    error.clear();
    choice.hidden = true;
    try {
      await discard();
    } catch (reason) {
      showError(reason);
    }
    input = { id, filename, isNew: false, isTable: false };
    await getQuote();
  }

  /** Gets the quote; again when the user selects another model, time or lane. */
  async function getQuote() {
    if (!input) return;
    error.clear();
    setText(status, "Reading the file …");
    try {
      const quote = await postJson("batches", { ...batchOptions(input), dry_run: true });
      setChildren(
        step,
        quoteView(
          input,
          quote,
          fields,
          () => void startJob(),
          () => void reset(),
        ),
      );
      setText(status, "");
      announce(quote.errors.length ? "The file has errors." : "The quote is ready.");
    } catch (reason) {
      if (!step.hasChildNodes()) choice.hidden = false;
      showError(reason);
    }
  }

  /** @param {Input} file */
  function batchOptions(file) {
    return {
      input_file_id: file.id,
      endpoint: ENDPOINT,
      completion_window: window.value,
      ...(model.value ? { model: model.value } : {}),
      fanout: { keep_input: !file.isNew, ...laneFields(lane.value, native.value) },
    };
  }

  async function startJob() {
    if (!input) return;
    error.clear();
    const metadata = { name: input.filename.slice(0, 500) };
    try {
      const batch = await postJson("batches", {
        ...batchOptions(input),
        metadata,
        ...(cap.value ? { max_cost_usd: cap.valueAsNumber } : {}),
      });
      input = null;
      cap.value = "";
      await reset();
      announce("The job has started.");
      onStarted(batch);
    } catch (reason) {
      showError(reason);
    }
  }

  /** Goes back to the choice of a file, and deletes the file that was uploaded for no job. */
  async function reset() {
    const discarded = discard();
    setChildren(step);
    showNotes([]);
    error.clear();
    setText(status, "");
    choice.hidden = false;
    try {
      await discarded;
    } catch (reason) {
      showError(reason);
    }
  }

  /** Deletes the file that this form uploaded, which no job has. @param {RequestInit} [options] */
  async function discard(options = {}) {
    const unused = input?.isNew ? input.id : null;
    input = null;
    if (unused) await request(`files/${unused}`, { method: "DELETE", ...options });
  }

  addEventListener("pagehide", () => discard({ keepalive: true }).catch(() => undefined));
  addEventListener("pageshow", ({ persisted }) => persisted && void reset()); // its file is gone

  return {
    element,
    /** @param {string[]} names */
    setModels(names) {
      models = names;
      const selected = model.value;
      setChildren(
        model,
        names.map((name) => h("option", { value: name }, name)),
        h("option", { value: "" }, "none: every line names its model"),
      );
      if (selected) model.value = selected;
    },
    setFiles: uploaded.update,
  };
}
