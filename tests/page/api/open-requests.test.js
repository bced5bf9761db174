import assert from "node:assert/strict";
import test from "node:test";

import { LEASE, openRequests } from "../../../shared/fanout/page/api/open-requests.js";

/** The requests of a page, what they sent, and the renewals that are due. */
function page(fails = false) {
  const sent = [];
  const renewals = new Set();
  let ids = 0;
  const requests = openRequests(
    async (path, options) => {
      sent.push([options.method, path]);
      if (fails) throw new Error("404");
    },
    () => `r-${++ids}`,
    (renew) => {
      renewals.add(renew);
      return () => renewals.delete(renew);
    },
  );
  return { requests, sent, renewals };
}

test("a request has an id and a lease, and keeps its other fields", () => {
  const { requests, sent } = page();
  const body = { model: "a", fanout: { mode: "race" } };
  const opened = requests.open(body);
  assert.equal(opened.id, "r-1");
  assert.deepEqual(opened.body, { model: "a", fanout: { mode: "race", lease: LEASE } });
  assert.deepEqual(body, { model: "a", fanout: { mode: "race" } });
  assert.deepEqual(sent, []);
});

test("an open request is renewed, and no other", () => {
  const { requests, sent, renewals } = page();
  const first = requests.open({});
  requests.open({});
  first.close();
  for (const renew of renewals) renew();
  assert.deepEqual(sent, [["POST", "chat/completions/r-2/renew"]]);
});

test("all open requests are cancelled, and no other", async () => {
  const { requests, sent } = page();
  const [, second] = [requests.open({}), requests.open({}), requests.open({})];
  second.close();
  await requests.cancelAll();
  assert.deepEqual(sent, [
    ["POST", "chat/completions/r-1/cancel"],
    ["POST", "chat/completions/r-3/cancel"],
  ]);
});

test("a cancel or a renewal that fails is no error of the page", async () => {
  const { requests, renewals } = page(true);
  requests.open({});
  for (const renew of renewals) renew();
  await requests.cancelAll();
});

test("ids are random and may be sent as a header", () => {
  const requests = openRequests(async () => {});
  const ids = Array.from({ length: 50 }, () => {
    const opened = requests.open({});
    opened.close();
    return opened.id;
  });
  assert.equal(new Set(ids).size, 50);
  for (const id of ids) assert.match(id, /^page_[0-9a-f]{24}$/);
});
