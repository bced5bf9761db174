/**
 * The requests of this page that are open: their ids and leases, and how they are cancelled.
 *
 * AWS does not tell the gateway that a browser has disconnected. So a request that the user stops is
 * cancelled by its id, and a lease ends the requests of a page that has gone. Does not use the
 * browser: `send` sends a request to a path below `/v1/`, and throws if it fails.
 */

/** Seconds: a browser runs the timers of a hidden tab only once a minute. */
export const LEASE = 150;
export const RENEW_MS = 30_000;

/** @typedef {{id: string, body: any, close: () => void}} OpenRequest */

/**
 * @param {(path: string, options: RequestInit) => Promise<unknown>} send
 * @param {() => string} newId
 * @param {(renew: () => void, ms: number) => () => void} every calls `renew`, and returns its end
 */
export function openRequests(send, newId = randomId, every = interval) {
  /** @type {Set<string>} */
  const open = new Set();

  /** @param {string} id @param {string} action */
  const control = (id, action) =>
    send(`chat/completions/${id}/${action}`, { method: "POST", keepalive: true }).then(
      () => {},
      () => {}, // it has ended, or the gateway is not reachable, which the page shows anyway
    );

  return {
    /** Opens a request: its id, and its body with a lease. @param {any} body @returns {OpenRequest} */
    open(body) {
      const id = newId();
      open.add(id);
      const stop = every(() => void control(id, "renew"), RENEW_MS);
      const close = () => {
        stop();
        open.delete(id);
      };
      return { id, body: { ...body, fanout: { ...body.fanout, lease: LEASE } }, close };
    },
    /** Cancels all open requests, also while the browser closes the page. */
    cancelAll: () => Promise.all([...open].map((id) => control(id, "cancel"))),
  };
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12)); // `randomUUID` needs https
  return `page_${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @param {() => void} renew @param {number} ms */
function interval(renew, ms) {
  const timer = setInterval(renew, ms);
  return () => clearInterval(timer);
}
