/** The Spend view: what keys have spent, as a plot by day, a table by key, team, tag or model, and CSV. */

import { ApiError, requestJson } from "../api/client.js";
import { announce, downloadBlob, h, setChildren, setText } from "../ui/dom.js";
import { errorBox } from "../ui/error-box.js";
import { formatCount, formatUsd } from "../ui/format.js";
import { spendChart } from "./spend-chart.js";
import { GROUPS, dailySpend, spendCsv, sumsBy } from "./spend-sums.js";

const DAYS = 30;
const NO_KEYS =
  "This gateway has no virtual keys, so it counts no spend. Set a master key in its config, and make keys.";

/** @typedef {import("./spend-sums.js").Day} Day */
/** @typedef {import("./spend-sums.js").Group} Group */
/** @typedef {import("./spend-sums.js").Row} Row */

export function spendView() {
  const from = h("input", { type: "date", name: "from", required: true });
  const to = h("input", { type: "date", name: "to", required: true });
  const group = h(
    "select",
    { name: "group" },
    Object.entries(GROUPS).map(([value, name]) => h("option", { value }, name)),
  );
  const csvButton = h("button", { type: "button", onclick: saveCsv }, "Save as CSV");
  const chart = spendChart();
  const summary = h("p", { class: "hint" });
  const error = errorBox();
  const table = h("table");
  const shown = h(
    "div",
    { class: "spend-shown", hidden: true },
    chart.element,
    h("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Spend" }, table),
  );
  const element = h(
    "section",
    { class: "spend", "aria-labelledby": "spend-title" },
    h("h2", { id: "spend-title" }, "Spend"),
    h(
      "form",
      { class: "spend-form", onsubmit: load },
      h("label", null, "From", from),
      h("label", null, "To", to),
      h("label", null, "By", group),
      h("button", { class: "primary", type: "submit" }, "Show"),
      csvButton,
    ),
    error.element,
    summary,
    shown,
  );

  /** @type {Day[]} */
  let days = [];
  /** @type {Row[]} */
  let rows = [];
  /** @type {Row | null} */
  let chosen = null;
  let isShown = false;
  let period = { from: "", to: "" };
  let loads = 0;

  /** @param {Event} [event] */
  async function load(event) {
    event?.preventDefault();
    const number = ++loads;
    const asked = { from: from.value, to: to.value };
    const query = new URLSearchParams({ start_date: asked.from, end_date: asked.to });
    try {
      const found = await requestJson(`user/daily/activity?${query}`);
      if (number !== loads) return;
      days = found.results;
      period = asked;
      error.clear();
      show();
      if (event) announce(summary.textContent ?? "");
    } catch (reason) {
      if (number !== loads || (reason instanceof ApiError && reason.info.status === 0)) return;
      days = [];
      shown.hidden = true;
      csvButton.disabled = true;
      const isWithout = reason instanceof ApiError && reason.info.status === 404;
      setText(summary, isWithout ? NO_KEYS : "");
      if (isWithout) error.clear();
      else error.show(reason);
    }
  }

  function show() {
    const by = /** @type {Group} */ (group.value);
    rows = sumsBy(days, by);
    chosen = rows.find((row) => row.id === chosen?.id) ?? null;
    csvButton.disabled = rows.length === 0;
    shown.hidden = rows.length === 0;
    setText(summary, rows.length ? summaryOf() : "No key has spent anything in this time.");
    const heads = [GROUPS[by], "Spend", "Requests", "Prompt tokens", "Response tokens"];
    setChildren(
      table,
      h("caption", { class: "visually-hidden" }, `Spend by ${GROUPS[by].toLowerCase()}`),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        null,
        rows.map((row) => rowOf(row, by)),
      ),
    );
    draw();
  }

  function summaryOf() {
    const total = days.reduce((sum, day) => sum + day.metrics.spend, 0);
    const requests = days.reduce((sum, day) => sum + day.metrics.api_requests, 0);
    return `${formatUsd(total)} for ${formatCount(requests)} requests, ${period.from} to ${period.to}, days in UTC`;
  }

  /** @param {Row} row @param {Group} by */
  function rowOf(row, by) {
    const cells = [
      formatUsd(row.spend),
      ...[row.requests, row.sent, row.received].map(formatCount),
    ];
    const name =
      by === "days"
        ? row.name
        : h(
            "button",
            {
              type: "button",
              class: "quiet small",
              "aria-pressed": String(row.id === chosen?.id),
              "data-id": row.id,
              title: "Show only this in the plot",
              onclick: () => choose(row),
            },
            row.name,
          );
    return h(
      "tr",
      null,
      h("th", { scope: "row" }, name),
      cells.map((text) => h("td", null, text)),
    );
  }

  /** @param {Row} row */
  function choose(row) {
    chosen = chosen?.id === row.id ? null : row;
    for (const button of table.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.id === chosen?.id));
    draw();
  }

  function draw() {
    const by = /** @type {Group} */ (group.value);
    const daily = dailySpend(days, period.from, period.to, by, chosen?.id ?? null);
    chart.update(daily, chosen ? chosen.name : "All");
  }

  function saveCsv() {
    const by = /** @type {Group} */ (group.value);
    const name = `spend-by-${GROUPS[by].toLowerCase()}-${period.from}-${period.to}.csv`;
    downloadBlob(new Blob([spendCsv(rows, by)], { type: "text/csv" }), name);
  }

  group.addEventListener("change", () => {
    chosen = null;
    if (days.length) show();
  });
  csvButton.disabled = true;

  return {
    element,
    /** Loads the spend each time the view is shown. @param {boolean} isVisible */
    show(isVisible) {
      isShown = isVisible;
      if (!isVisible) return;
      if (!from.value) {
        const now = Date.now();
        to.value = new Date(now).toISOString().slice(0, 10);
        from.value = new Date(now - DAYS * 86_400_000).toISOString().slice(0, 10);
      }
      void load();
    },
    /** The API key has changed. */
    reload() {
      if (isShown) void load();
    },
  };
}
