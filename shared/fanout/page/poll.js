/** Look again and again at what changes by itself, but not while nobody sees it. */

import { ApiError, news } from "./api.js";

/**
 * `work` says how many seconds to wait for the next look, or `null` for none. A lost connection is
 * looked through again when it is found; any other fault is `work`'s to tell.
 * @param {() => Promise<number | null>} work
 */
export function poller(work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let isOn = false;
  let isBusy = false;

  async function look() {
    clearTimeout(timer);
    if (!isOn || isBusy || document.hidden) return;
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

  document.addEventListener("visibilitychange", () => void look());
  news.addEventListener("found", () => setTimeout(look));
  return {
    start() {
      isOn = true;
      void look();
    },
    stop() {
      isOn = false;
      clearTimeout(timer);
    },
  };
}
