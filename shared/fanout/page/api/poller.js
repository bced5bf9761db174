/** Repeats a request at intervals, but not while the page is hidden. */

import { ApiError, connection } from "./client.js";

/**
 * Calls `work` when started, and again after the number of seconds that it returns; `null` ends the
 * polling. After a lost connection it polls again as soon as the gateway is back. `work` handles
 * every other error itself.
 * @param {() => Promise<number | null>} work
 */
export function poller(work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isBusy = false;
  /** @type {AbortController | null} its signal removes the listeners */
  let active = null;

  async function poll() {
    clearTimeout(timer);
    if (!active || isBusy || document.hidden) return;
    isBusy = true;
    try {
      const seconds = await work();
      if (seconds !== null) timer = setTimeout(poll, seconds * 1000);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // the banner shows that the gateway is unreachable
    } finally {
      isBusy = false;
    }
  }

  return {
    start() {
      if (!active) {
        active = new AbortController();
        const { signal } = active;
        document.addEventListener("visibilitychange", () => void poll(), { signal });
        connection.addEventListener("online", () => setTimeout(poll), { signal });
      }
      void poll();
    },
    stop() {
      active?.abort();
      active = null;
      clearTimeout(timer);
    },
  };
}
