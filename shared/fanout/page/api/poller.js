/** Look again and again at what changes by itself, but not while nobody sees it. */

import { ApiError, news } from "./client.js";

/**
 * `work` says how many seconds to wait for the next look, or `null` for none. A lost connection is
 * looked through again when it is found; any other fault is `work`'s to tell.
 * @param {() => Promise<number | null>} work
 */
export function poller(work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isBusy = false;
  /** @type {AbortController | null} */
  let on = null;

  async function look() {
    clearTimeout(timer);
    if (!on || isBusy || document.hidden) return;
    isBusy = true;
    try {
      const seconds = await work();
      if (seconds !== null) timer = setTimeout(look, seconds * 1000);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // told by the banner: looked again when found
    } finally {
      isBusy = false;
    }
  }

  return {
    start() {
      if (!on) {
        on = new AbortController();
        document.addEventListener("visibilitychange", () => void look(), { signal: on.signal });
        news.addEventListener("found", () => setTimeout(look), { signal: on.signal });
      }
      void look();
    },
    stop() {
      on?.abort();
      on = null;
      clearTimeout(timer);
    },
  };
}
