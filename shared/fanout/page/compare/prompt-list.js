/** The prompts: texts, each with its pictures; several make a grid. */

import { announce, fill, h } from "../ui/dom.js";
import { size } from "../ui/format.js";

const LARGEST = 5_000_000; // bytes of a picture
const MOST = 20;

/** @typedef {import("./run.js").Prompt} Prompt */

/** @param {Prompt[]} kept @param {() => void} changed */
export function promptList(kept, changed) {
  const list = h("div", { class: "prompts" });
  const more = h(
    "button",
    { type: "button", class: "quiet small", onclick: addEmpty },
    "Add a prompt",
  );
  /** @type {ReturnType<typeof promptEditor>[]} */
  let editors = [];

  /** @param {Prompt} prompt */
  function add(prompt) {
    const editor = promptEditor(prompt, changed, () => {
      editors = editors.filter((one) => one !== editor);
      show();
      changed();
      more.focus();
    });
    editors.push(editor);
    show();
    return editor;
  }

  function show() {
    for (const [at, editor] of editors.entries()) editor.place(at, editors.length);
    if (list.children.length !== editors.length)
      fill(
        list,
        editors.map((editor) => editor.element),
      );
    more.hidden = editors.length >= MOST;
  }

  function addEmpty() {
    add({ text: "", pictures: [] }).focus();
    changed();
  }

  const element = h("div", null, list, more);
  for (const prompt of kept.length ? kept : [{ text: "", pictures: [] }]) add(prompt);
  return { element, value: () => editors.map((editor) => editor.value()) };
}

/** @param {Prompt} prompt @param {() => void} changed @param {() => void} remove */
function promptEditor(prompt, changed, remove) {
  let pictures = [...prompt.pictures];
  const title = h("span");
  const text = h("textarea", {
    rows: 4,
    placeholder: "Ask something",
    value: prompt.text,
    oninput: changed,
  });
  const shown = h("ul", { class: "pictures", "aria-label": "Pictures" });
  const fault = h("p", { class: "fault", role: "alert" });
  const files = h("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    hidden: true,
    onchange: () => void take(files.files),
  });
  const gone = h("button", { type: "button", class: "quiet small", onclick: remove }, "Remove");

  /** @param {FileList | null | undefined} given */
  async function take(given) {
    fill(fault);
    for (const file of given ?? []) {
      if (!file.type.startsWith("image/")) fill(fault, `${file.name} is not a picture.`);
      else if (file.size > LARGEST)
        fill(fault, `${file.name} has ${size(file.size)}; at most ${size(LARGEST)} a picture.`);
      else pictures.push(await dataUrl(file));
    }
    files.value = "";
    show();
  }

  function show() {
    fill(
      shown,
      pictures.map((url, at) =>
        h(
          "li",
          null,
          h("img", { src: url, alt: `Picture ${at + 1}` }),
          h(
            "button",
            {
              type: "button",
              class: "quiet small",
              "aria-label": `Remove picture ${at + 1}`,
              onclick: () => drop(url),
            },
            "×",
          ),
        ),
      ),
    );
    shown.hidden = !pictures.length;
    changed();
  }

  /** @param {string} url */
  function drop(url) {
    pictures = pictures.filter((one) => one !== url);
    show();
    announce("Picture removed.");
    text.focus();
  }

  const element = h(
    "div",
    {
      class: "prompt",
      ondragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
      ondrop: (/** @type {DragEvent} */ event) => {
        if (!event.dataTransfer?.files.length) return;
        event.preventDefault();
        void take(event.dataTransfer.files);
      },
      onpaste: (/** @type {ClipboardEvent} */ event) => {
        if (event.clipboardData?.files.length) void take(event.clipboardData.files);
      },
    },
    h("label", null, title, text),
    shown,
    fault,
    h(
      "div",
      { class: "beside" },
      h(
        "button",
        { type: "button", class: "quiet small", onclick: () => files.click() },
        "Add pictures",
      ),
      gone,
      files,
    ),
  );
  shown.hidden = !pictures.length;
  return {
    element,
    value: () => ({ text: text.value, pictures }),
    focus: () => text.focus(),
    /** @param {number} at @param {number} of */
    place(at, of) {
      title.textContent = of > 1 ? `Prompt ${at + 1}` : "Prompt";
      gone.hidden = of === 1;
      gone.setAttribute("aria-label", `Remove prompt ${at + 1}`);
    },
  };
}

/** @param {File} file @returns {Promise<string>} */
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
}
