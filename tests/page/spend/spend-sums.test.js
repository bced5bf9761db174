import assert from "node:assert/strict";
import test from "node:test";

import { dailySpend, spendCsv, sumsBy } from "../../../shared/fanout/page/spend/spend-sums.js";

const metrics = (spend, api_requests = 1) => ({
  spend,
  api_requests,
  prompt_tokens: 3,
  completion_tokens: 4,
});
const HASH = "0123456789abcdef";
const DAYS = [
  {
    date: "2026-11-30",
    metrics: metrics(3, 2),
    breakdown: {
      api_keys: {
        [HASH]: { metrics: metrics(1), metadata: { key_alias: null } },
        other: { metrics: metrics(2), metadata: { key_alias: "=search" } },
      },
      teams: { "-": { metrics: metrics(3, 2) } },
      models: { 'a,"b"': { metrics: metrics(3, 2) } },
      tags: {},
    },
  },
  {
    date: "2026-11-28",
    metrics: metrics(4),
    breakdown: { api_keys: { [HASH]: { metrics: metrics(4), metadata: {} } }, models: {} },
  },
];

test("the groups of all days are added up, the most expensive first", () => {
  assert.deepEqual(sumsBy(DAYS, "api_keys"), [
    { id: HASH, name: "01234567…", spend: 5, requests: 2, sent: 6, received: 8 },
    { id: "other", name: "=search", spend: 2, requests: 1, sent: 3, received: 4 },
  ]);
  assert.deepEqual(
    sumsBy(DAYS, "days").map((row) => [row.id, row.spend]),
    [
      ["2026-11-30", 3],
      ["2026-11-28", 4],
    ],
  );
  assert.equal(sumsBy(DAYS, "teams")[0].name, "without a team");
  assert.deepEqual(sumsBy(DAYS, "tags"), []);
});

test("a day without a request is in the plot", () => {
  const spend = (group, id) =>
    dailySpend(DAYS, "2026-11-28", "2026-12-01", group, id).map((day) => day.spend);
  assert.deepEqual(spend("api_keys", null), [4, 0, 3, 0]);
  assert.deepEqual(spend("api_keys", HASH), [4, 0, 1, 0]);
  assert.deepEqual(spend("tags", "none"), [0, 0, 0, 0]);
});

test("the CSV has the hashes of keys, its quotes, and no formula", () => {
  assert.equal(
    spendCsv(sumsBy(DAYS, "api_keys"), "api_keys"),
    "key,spend_usd,requests,prompt_tokens,completion_tokens,key_hash\r\n" +
      `01234567…,5,2,6,8,${HASH}\r\n'=search,2,1,3,4,other\r\n`,
  );
  assert.equal(
    spendCsv(sumsBy(DAYS, "models"), "models"),
    'model,spend_usd,requests,prompt_tokens,completion_tokens\r\n"a,""b""",3,2,3,4\r\n',
  );
});
