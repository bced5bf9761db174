/** The prompts, each with its pictures. Several prompts make a grid. */

import { announce, h, setChildren } from "../ui/dom.js";
import { formatBytes } from "../ui/format.js";

const MAX_PICTURE_BYTES = 5_000_000;
const MAX_PROMPTS = 20;

/** @typedef {import("./run.js").Prompt} Prompt */

/** @param {Prompt[]} saved @param {() => void} changed */
export function promptList(saved, changed) {
  const list = h("div", { class: "prompts" });
  const addButton = h(
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
      addButton.focus();
    });
    editors.push(editor);
    show();
    return editor;
  }

  function show() {
    for (const [at, editor] of editors.entries()) editor.setPosition(at, editors.length);
    if (list.children.length !== editors.length)
      setChildren(
        list,
        editors.map((editor) => editor.element),
      );
    addButton.hidden = editors.length >= MAX_PROMPTS;
  }

  function addEmpty() {
    add({ text: "", pictures: [] }).focus();
    changed();
  }

  const element = h("div", null, list, addButton);
  for (const prompt of saved.length ? saved : [{ text: "", pictures: [] }]) add(prompt);
  return {
    element,
    value: () => editors.map((editor) => editor.value()),
    focus: () => editors[0]?.focus(),
    /** Sets the text of the first prompt. @param {string} text */
    setFirst(text) {
      editors[0]?.setText(text);
      changed();
    },
  };
}

/** @param {Prompt} prompt @param {() => void} changed @param {() => void} remove */
function promptEditor(prompt, changed, remove) {
  let pictures = [...prompt.pictures];
  const title = h("span");
  const text = h("textarea", {
    rows: 4,
    placeholder: "Write a prompt",
    value: prompt.text,
    oninput: changed,
  });
  const thumbnails = h("ul", { class: "pictures", "aria-label": "Pictures" });
  const error = h("p", { class: "error", role: "alert" });
  const files = h("input", {
    type: "file",
    accept: "image/*",
    multiple: true,
    hidden: true,
    onchange: () => void addPictures(files.files),
  });
  const removeButton = h(
    "button",
    { type: "button", class: "quiet small", onclick: remove },
    "Remove",
  );

  /** @param {FileList | null | undefined} list */
  async function addPictures(list) {
    setChildren(error);
    for (const file of list ?? []) {
      if (!file.type.startsWith("image/")) setChildren(error, `${file.name} is not a picture.`);
      else if (file.size > MAX_PICTURE_BYTES)
        setChildren(
          error,
          `${file.name} is ${formatBytes(file.size)}. The maximum is ${formatBytes(MAX_PICTURE_BYTES)} per picture.`,
        );
      else pictures.push(await dataUrl(file));
    }
    files.value = "";
    showThumbnails();
  }

  function showThumbnails() {
    setChildren(
      thumbnails,
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
              onclick: () => removePicture(url),
            },
            "×",
          ),
        ),
      ),
    );
    thumbnails.hidden = !pictures.length;
    changed();
  }

  /** @param {string} url */
  function removePicture(url) {
    pictures = pictures.filter((one) => one !== url);
    showThumbnails();
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
        void addPictures(event.dataTransfer.files);
      },
      onpaste: (/** @type {ClipboardEvent} */ event) => {
        if (event.clipboardData?.files.length) void addPictures(event.clipboardData.files);
      },
    },
    h("label", null, title, text),
    thumbnails,
    error,
    h(
      "div",
      { class: "beside" },
      h(
        "button",
        { type: "button", class: "quiet small", onclick: () => files.click() },
        "Add pictures",
      ),
      removeButton,
      files,
    ),
  );
  thumbnails.hidden = !pictures.length;
  return {
    element,
    value: () => ({ text: text.value, pictures }),
    focus: () => text.focus(),
    /** @param {string} value */
    setText(value) {
      text.value = value;
    },
    /** @param {number} at @param {number} count */
    setPosition(at, count) {
      title.textContent = count > 1 ? `Prompt ${at + 1}` : "Prompt";
      removeButton.hidden = count === 1;
      removeButton.setAttribute("aria-label", `Remove prompt ${at + 1}`);
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
