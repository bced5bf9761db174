/** A new job: a file, what it would take, a cap, and the start. */

import { ask, post, upload } from "../api/client.js";
import { announce, fill, h, say } from "../ui/dom.js";
import { faultBox } from "../ui/error-box.js";
import { size } from "../ui/format.js";
import { csvForm } from "./csv-form.js";
import { dropZone, knownFiles } from "./drop-zone.js";
import { quoteFields, quoteView } from "./quote.js";

const ENDPOINT = "/v1/chat/completions";
const SAMPLE = ["a bakery", "a bicycle shop", "a library", "a night train", "a lighthouse"];

/**
 * @typedef {{id: string, filename: string, isOurs: boolean}} Picked a file at the gateway; ours came from here
 */

/** @param {(batch: any) => void} started */
export function newJob(started) {
  /** @type {Picked | null} */
  let picked = null;
  const fault = faultBox();
  const status = h("p", { class: "hint", role: "status" });
  const step = h("div", { class: "step" });
  const fields = quoteFields(() => void quote());
  const { model, cap, window } = fields;
  const known = knownFiles((id, filename) => void takeKnown(id, filename));
  const drop = dropZone((file) => void take(file), sample);
  const start = h("div", { class: "step" }, drop, known.element);
  const element = h(
    "section",
    { class: "new-job", "aria-label": "New job" },
    h("h2", null, "New job"),
    fault.element,
    start,
    step,
    status,
  );

  /** @param {unknown} error */
  function tell(error) {
    say(status, "");
    fault.tell(error);
  }

  /** @param {File} file */
  async function take(file) {
    fault.calm();
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
    fault.calm();
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

  /** @param {string} id @param {string} filename */
  async function takeKnown(id, filename) {
    fault.calm();
    picked = { id, filename, isOurs: false };
    start.hidden = true;
    await quote();
  }

  /** What it would take; asked anew for another model. */
  async function quote() {
    if (!picked) return;
    fault.calm();
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
    fault.calm();
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
    files: known.update,
  };
}
