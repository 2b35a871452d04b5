/*
 * The line to the server: its events, and whether it is there. The browser opens a lost connection
 * again by itself, but not one that was refused (503) or that just fell silent: those we open. A
 * page that nobody sees has none: a browser opens six connections to a host, for all of its tabs.
 */
"use strict";

const live = (() => {
  const SILENCE_MS = 5000; // events come each second
  const RETRY_MS = 2000;
  const CROWDED_MS = 5000; // before we ask again whether there is room
  const EVENTS = ["history", "summary", "top"];

  let handlers = {};
  let source = null; // null while the page is hidden
  let lastEvent = null; // when the last event came, by performance.now()
  let opened = 0; // when the connection was asked for
  let retrying = 0;

  /* How long ago the last event came, in ms; null when there was none. */
  const silence = () => lastEvent === null ? null : performance.now() - lastEvent;

  function onError() {
    if (source.readyState === EventSource.CLOSED) {
      findReason(source);
    } else {
      handlers.gone();
    }
  }

  /* `refused` was refused, which an EventSource does not explain. A server that answers anything
   * else is there, but has as many listeners as it takes. */
  async function findReason(refused) {
    const signal = AbortSignal.timeout(SILENCE_MS);
    const there = await fetch("/summary", { signal, cache: "no-store" })
      .then(() => true, () => false);
    if (source !== refused) {
      return; // the page was hidden meanwhile
    }
    if (there) {
      handlers.crowded();
    } else {
      handlers.gone();
    }
    retryAfter(there ? CROWDED_MS : RETRY_MS);
  }

  function retryAfter(ms) {
    source.close();
    clearTimeout(retrying);
    retrying = setTimeout(open, ms);
  }

  function open() {
    opened = performance.now();
    source = new EventSource("/events");
    source.onerror = onError;
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        lastEvent = performance.now();
        handlers[name](dom.parse(event.data));
      });
    }
  }

  function watch() {
    const since = performance.now() - Math.max(lastEvent ?? 0, opened);
    if (source && source.readyState !== EventSource.CLOSED && since > SILENCE_MS) {
      handlers.gone();
      retryAfter(RETRY_MS);
    }
    handlers.tick();
  }

  function followVisibility() {
    if (document.hidden === (source === null)) {
      return;
    }
    if (document.hidden) {
      clearTimeout(retrying);
      source.close();
      source = null;
      handlers.paused();
    } else {
      open();
    }
  }

  /* `given` has a function for each event; gone(); crowded(), when the server is there but has no
   * room; paused(), when the page gets hidden; and tick(), which comes each second. */
  function start(given) {
    handlers = given;
    document.addEventListener("visibilitychange", followVisibility);
    followVisibility();
    setInterval(watch, 1000);
  }

  return { start, silence };
})();
