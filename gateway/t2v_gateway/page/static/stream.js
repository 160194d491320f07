// What changes, as it changes. A page that nobody sees lets go of its connection.

import { read, leave } from "./server.js";

/** `handlers`: by the name of the event. `hello` comes first, after each loss too. */
export function follow(handlers) {
  let source = null;
  let retry = 0;

  function open() {
    close();
    source = new EventSource("page/api/events");
    for (const [name, handler] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handler(JSON.parse(event.data || "{}")));
    }
    source.addEventListener("bye", leave);
    source.addEventListener("hello", () => (retry = 0));
    source.addEventListener("error", () => {
      handlers.lost?.();
      if (source?.readyState === EventSource.CLOSED) again();
    });
  }

  // The browser tries again by itself, but not where it got an answer that is no stream.
  function again() {
    close();
    retry = Math.min(30000, (retry || 1000) * 2);
    setTimeout(async () => {
      await read("form").catch(() => null); // leads to the way in where the session is over
      if (!document.hidden && !source) open();
    }, retry);
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("online", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  if (!document.hidden) open();
}
