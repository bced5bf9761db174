/** The page's frame: navigation, the API key dialog and the connection banner. */

import { ApiError, apiKey, connection, requestJson } from "./api/client.js";
import { compareView } from "./compare/compare-view.js";
import { jobsView } from "./jobs/jobs-view.js";
import { spendView } from "./spend/spend-view.js";
import { announce, h, setChildren, setText } from "./ui/dom.js";
import { explainError } from "./ui/error-messages.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));
const keyButton = /** @type {HTMLElement} */ (document.getElementById("key"));

const compare = compareView();
const jobs = jobsView();
const spend = spendView();

/** Each view by its name in the address, and its title. */
const VIEWS = /** @type {Record<string, {title: string, element: Element}>} */ ({
  compare: { title: "Compare", element: compare.element },
  jobs: { title: "Jobs", element: jobs.element },
  spend: { title: "Spend", element: spend.element },
});

// ---- navigation ----

function showRoute() {
  const [, named = "", id = ""] = location.hash.split("/");
  const view = named in VIEWS ? named : "compare";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const { title, element } = /** @type {typeof VIEWS[string]} */ (VIEWS[view]);
  document.title = `${title} – Fanout`;
  if (main.firstElementChild !== element) main.replaceChildren(element);
  jobs.show(view === "jobs" ? id : null);
  spend.show(view === "spend");
}
addEventListener("hashchange", () => {
  if (location.hash === "#main") main.focus();
  else showRoute();
});

// ---- the API key ----

const dialog = h("dialog", { "aria-labelledby": "key-title", class: "narrow" });
const keyField = h("input", {
  type: "password",
  name: "key",
  autocomplete: "off",
  spellcheck: false,
  required: true,
});
const keyError = h("p", { class: "error", role: "alert" });
const forgetButton = h(
  "button",
  { type: "button", class: "quiet", onclick: forgetKey },
  "Forget the key",
);
document.body.append(dialog);

/** @param {Event} event */
async function saveKey(event) {
  event.preventDefault();
  apiKey.set(keyField.value.trim());
  keyField.value = "";
  try {
    await loadModels();
    dialog.close();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { what, advice } = explainError(error.info);
    setText(keyError, `${what} ${advice}`);
  }
}

function dismissDialog() {
  isDismissed = true;
  dialog.close();
}
dialog.addEventListener("cancel", dismissDialog);

function forgetKey() {
  apiKey.set("");
  isDismissed = false;
  dialog.close();
  void start();
}

setChildren(
  dialog,
  h(
    "form",
    { onsubmit: saveKey },
    h("h2", { id: "key-title" }, "Gateway API key"),
    h(
      "p",
      null,
      "Enter this gateway's API key, not a provider's. The page keeps it until you close the tab, and sends it only to this gateway.",
    ),
    h("label", null, "Key", keyField),
    keyError,
    h(
      "div",
      { class: "actions" },
      h("button", { class: "primary", type: "submit" }, "Use this key"),
      h("button", { type: "button", onclick: dismissDialog }, "Not now"),
      forgetButton,
    ),
  ),
);

function openKeyDialog() {
  setText(keyError, "");
  forgetButton.hidden = !apiKey.get();
  if (!dialog.open) dialog.showModal();
}
keyButton.addEventListener("click", openKeyDialog);
connection.addEventListener("unauthorized", () => {
  if (!isDismissed) openKeyDialog();
});

// ---- the connection ----

connection.addEventListener("offline", () => {
  setText(banner, "Cannot reach the gateway. Trying again every two seconds …");
  banner.className = "offline";
});
connection.addEventListener("online", () => {
  setText(banner, "Connected again.");
  banner.className = "online";
  setTimeout(() => {
    if (banner.className !== "online") return;
    banner.className = "";
    setText(banner, "");
  }, 4000);
  if (!isLoaded) void start();
});

let isLoaded = false;
let isDismissed = false; // after "Not now" the dialog opens only from its button

async function loadModels() {
  const listed = await requestJson("models?mode=chat");
  isLoaded = true;
  isDismissed = false;
  setText(keyButton, apiKey.get() ? "API key: set" : "API key");
  const names = listed.data.map((/** @type {any} */ model) => String(model.id));
  compare.setModels(names);
  jobs.setModels(names);
  spend.reload();
}

/** Loads the models. The banner and the key dialog show the usual errors; others are announced. */
async function start() {
  try {
    await loadModels();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { status } = error.info;
    if (status && status !== 401) announce(explainError(error.info).what);
  }
}

// Without this, the browser would open a file that is dropped beside a drop zone.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

showRoute();
void start();
