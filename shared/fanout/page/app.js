/** The page: which part is shown, the key, and whether the gateway is there. */

import { ApiError, json, key, news } from "./api/client.js";
import { compareView } from "./compare/compare-view.js";
import { jobsView } from "./jobs/jobs-view.js";
import { announce, fill, h, say } from "./ui/dom.js";
import { explain } from "./ui/error-messages.js";

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const banner = /** @type {HTMLElement} */ (document.getElementById("banner"));
const keyButton = /** @type {HTMLElement} */ (document.getElementById("key"));

const compare = compareView();
const jobs = jobsView();

// ---- which part is shown ----

function route() {
  const [, part = "compare", id = ""] = location.hash.split("/");
  const isJobs = part === "jobs";
  for (const link of document.querySelectorAll("nav a")) {
    const isHere = link.getAttribute("href") === (isJobs ? "#/jobs" : "#/compare");
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = isJobs ? "Jobs – Fanout" : "Compare – Fanout";
  const shown = isJobs ? jobs.element : compare.element;
  if (main.firstElementChild !== shown) main.replaceChildren(shown);
  jobs.show(isJobs ? id : null);
}
addEventListener("hashchange", () => {
  if (location.hash === "#main") main.focus();
  else route();
});

// ---- the key ----

const dialog = h("dialog", { "aria-labelledby": "key-title", class: "narrow" });
const field = h("input", {
  type: "password",
  name: "key",
  autocomplete: "off",
  spellcheck: false,
  required: true,
});
const problem = h("p", { class: "fault", role: "alert" });
const forgetting = h(
  "button",
  { type: "button", class: "quiet", onclick: forget },
  "Forget the key",
);
document.body.append(dialog);

/** @param {Event} event */
async function takeKey(event) {
  event.preventDefault();
  key.set(field.value.trim());
  field.value = "";
  try {
    await load();
    dialog.close();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const { what, advice } = explain(error.fault);
    say(problem, `${what} ${advice}`);
  }
}

function dismiss() {
  isDismissed = true;
  dialog.close();
}
dialog.addEventListener("cancel", dismiss);

function forget() {
  key.set("");
  isDismissed = false;
  dialog.close();
  void start();
}

fill(
  dialog,
  h(
    "form",
    { onsubmit: takeKey },
    h("h2", { id: "key-title" }, "The gateway's key"),
    h("p", null, "It stays in this tab until the tab is closed, and goes to this gateway only."),
    h("label", null, "Key", field),
    problem,
    h(
      "div",
      { class: "actions" },
      h("button", { class: "primary", type: "submit" }, "Use it"),
      h("button", { type: "button", onclick: dismiss }, "Not now"),
      forgetting,
    ),
  ),
);

function openKey() {
  say(problem, "");
  forgetting.hidden = !key.get();
  if (!dialog.open) dialog.showModal();
}
keyButton.addEventListener("click", openKey);
news.addEventListener("locked", () => {
  if (!isDismissed) openKey();
});

// ---- whether the gateway is there ----

news.addEventListener("lost", () => {
  say(banner, "No connection to the gateway. Trying again every two seconds …");
  banner.className = "lost";
});
news.addEventListener("found", () => {
  say(banner, "The connection is back.");
  banner.className = "found";
  setTimeout(() => {
    if (banner.className !== "found") return;
    banner.className = "";
    say(banner, "");
  }, 4000);
  if (!isLoaded) void start();
});

let isLoaded = false;
let isDismissed = false; // who wants to give no key is not asked again and again

async function load() {
  const listed = await json("models");
  isLoaded = true;
  isDismissed = false;
  say(keyButton, key.get() ? "Key: set" : "Key");
  const names = listed.data.map((/** @type {any} */ model) => String(model.id));
  compare.models(names);
  jobs.models(names);
}

/** What is wrong is told by the banner or the key's dialog, or here. */
async function start() {
  try {
    await load();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.fault.status && error.fault.status !== 401) announce(explain(error.fault).what);
  }
}

// A file that misses its place would take the page's own.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

route();
void start();
