/** A new job: a file, what it would take, a cap, and the start. */

import { ApiError, ask, post, upload } from "./api.js";
import { csvForm } from "./csvform.js";
import { announce, fill, h, say } from "./dom.js";
import { moment, size } from "./format.js";
import { quoteFields, quoteView } from "./quote.js";
import { explain } from "./words.js";

const ENDPOINT = "/v1/chat/completions";
const SAMPLE = ["a bakery", "a bicycle shop", "a library", "a night train", "a lighthouse"];

/**
 * @typedef {{id: string, filename: string, isOurs: boolean}} Picked a file at the gateway; ours came from here
 */

/** @param {(batch: any) => void} started */
export function newJob(started) {
  /** @type {Picked | null} */
  let picked = null;
  let shownFiles = "";
  const fault = h("div", { class: "fault-box", role: "alert", hidden: true });
  const status = h("p", { class: "hint", role: "status" });
  const step = h("div", { class: "step" });
  const fields = quoteFields(() => void quote());
  const { model, cap, window } = fields;
  const files = h("select", { "aria-label": "A file that is at the gateway already" });
  const useFile = h("button", { type: "button", onclick: () => void takeKnown() }, "Use it");
  const known = h("div", { class: "beside", hidden: true }, files, useFile);
  const input = h("input", {
    type: "file",
    accept: ".jsonl,.csv,.tsv,.txt",
    hidden: true,
    onchange: () => void take(input.files?.[0]),
  });
  const drop = h(
    "div",
    {
      class: "drop",
      ondragover: (/** @type {DragEvent} */ event) => (
        event.preventDefault(),
        drop.classList.add("is-over")
      ),
      ondragleave: () => drop.classList.remove("is-over"),
      ondrop: (/** @type {DragEvent} */ event) => {
        event.preventDefault();
        drop.classList.remove("is-over");
        void take(event.dataTransfer?.files[0]);
      },
    },
    h("p", { class: "drop-title" }, "Drop a JSONL or CSV file here"),
    h(
      "p",
      { class: "hint" },
      "One request a line, as OpenAI's Batch API has it, or just messages; of a CSV, one prompt a row.",
    ),
    h(
      "div",
      { class: "actions" },
      h(
        "button",
        { type: "button", class: "primary", onclick: () => input.click() },
        "Choose a file",
      ),
      h("button", { type: "button", class: "quiet", onclick: sample }, "Try a sample"),
      input,
    ),
  );
  const start = h("div", { class: "step" }, drop, known);
  const element = h(
    "section",
    { class: "new-job", "aria-label": "New job" },
    h("h2", null, "New job"),
    fault,
    start,
    step,
    status,
  );

  /** @param {unknown} error */
  function tell(error) {
    say(status, "");
    if (!(error instanceof ApiError) && !(error instanceof Error)) throw error;
    const { what, advice, details } =
      error instanceof ApiError
        ? explain(error.fault)
        : {
            what: "The file cannot be read.",
            advice: "Mend it, and try again.",
            details: error.message,
          };
    fault.hidden = false;
    fill(
      fault,
      h("p", null, h("strong", null, what), " ", advice),
      details && h("p", { class: "details" }, details),
    );
  }

  function calm() {
    fault.hidden = true;
    fill(fault);
  }

  /** @param {File | undefined} file */
  async function take(file) {
    calm();
    input.value = "";
    if (!file) return;
    if (/\.(csv|tsv)$/i.test(file.name)) {
      start.hidden = true;
      fill(
        step,
        csvForm(
          file,
          (blob) => void send(blob, file.name.replace(/\.\w+$/, ".jsonl")),
          reset,
          tell,
        ),
      );
    } else await send(file, file.name.endsWith(".jsonl") ? file.name : `${file.name}.jsonl`);
  }

  function sample() {
    const lines = SAMPLE.map((shop) =>
      JSON.stringify({
        messages: [
          { role: "system", content: "Answer in one short sentence." },
          { role: "user", content: `Write a slogan for ${shop}.` },
        ],
        max_tokens: 40,
      }),
    );
    calm();
    void send(new Blob([`${lines.join("\n")}\n`]), "sample.jsonl");
  }

  /** @param {Blob} blob @param {string} name */
  async function send(blob, name) {
    start.hidden = true;
    say(status, `Uploading ${name}, ${size(blob.size)} …`);
    try {
      const file = await upload(blob, name, (share) =>
        say(status, `Uploading ${name}: ${Math.round(share * 100)} %`),
      );
      picked = { id: file.id, filename: file.filename, isOurs: true };
      await quote();
    } catch (error) {
      start.hidden = false;
      tell(error);
    }
  }

  async function takeKnown() {
    calm();
    if (!files.value) return;
    picked = {
      id: files.value,
      filename: files.selectedOptions[0]?.dataset.name ?? "",
      isOurs: false,
    };
    start.hidden = true;
    await quote();
  }

  /** What it would take; asked anew for another model. */
  async function quote() {
    if (!picked) return;
    calm();
    say(status, "Reading the file …");
    try {
      const said = await post("batches", { ...request(picked), dry_run: true });
      fill(
        step,
        quoteView(
          picked.filename,
          said,
          fields,
          () => void begin(),
          () => void reset(),
        ),
      );
      say(status, "");
      announce(said.errors.length ? "The file has mistakes." : "The quote is here.");
    } catch (error) {
      if (!step.hasChildNodes()) start.hidden = false;
      tell(error);
    }
  }

  /** @param {Picked} file */
  function request(file) {
    return {
      input_file_id: file.id,
      endpoint: ENDPOINT,
      ...(model.value ? { model: model.value } : {}),
    };
  }

  async function begin() {
    if (!picked) return;
    calm();
    const more = {
      completion_window: window.value,
      metadata: { name: picked.filename.slice(0, 500) },
    };
    try {
      const batch = await post("batches", {
        ...request(picked),
        ...more,
        ...(cap.value ? { max_cost_usd: cap.valueAsNumber } : {}),
      });
      picked = null;
      cap.value = "";
      await reset();
      announce("The job has started.");
      started(batch);
    } catch (error) {
      tell(error);
    }
  }

  /** Back to the start; a file that came from here and that no job uses is taken away again. */
  async function reset() {
    const unused = picked?.isOurs ? picked.id : null;
    picked = null;
    fill(step);
    say(status, "");
    start.hidden = false;
    try {
      if (unused) await ask(`files/${unused}`, { method: "DELETE" });
    } catch (error) {
      tell(error);
    }
  }

  return {
    element,
    /** @param {string[]} names */
    models(names) {
      const before = model.value;
      fill(
        model,
        names.map((name) => h("option", { value: name }, name)),
        h("option", { value: "" }, "none: each line names its own"),
      );
      if (before) model.value = before;
    },
    /** @param {any[]} listed */
    files(listed) {
      const ids = listed.map((file) => file.id).join();
      if (ids === shownFiles) return; // an open list stays open
      shownFiles = ids;
      known.hidden = !listed.length;
      const before = files.value;
      fill(
        files,
        h("option", { value: "" }, "… or one that is there already"),
        listed.map((file) =>
          h(
            "option",
            { value: file.id, "data-name": file.filename },
            `${file.filename} (${size(file.bytes)}, ${moment(file.created_at)})`,
          ),
        ),
      );
      files.value = before;
    },
  };
}
