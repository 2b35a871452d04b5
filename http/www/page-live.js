/*
 * The line to the server: its events, and whether it is there. The browser opens a lost connection
 * again by itself, but not one that was refused (503) or that just fell silent: those we open.
 */
"use strict";

const live = (() => {
  const SILENCE_MS = 5000; // events come each second
  const RETRY_MS = 2000;
  const EVENTS = ["history", "summary", "top"];

  let handlers = {};
  let source = null;
  let lastEvent = null; // when the last event came, by performance.now()
  let opened = 0; // when the connection was asked for
  let retrying = 0;

  /* How long ago the last event came, in ms; null when there was none. */
  const silence = () => lastEvent === null ? null : performance.now() - lastEvent;

  function onError() {
    handlers.gone();
    if (source.readyState === EventSource.CLOSED) {
      retryLater();
    }
  }

  function retryLater() {
    source.close();
    clearTimeout(retrying);
    retrying = setTimeout(open, RETRY_MS);
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
    if (source.readyState === EventSource.OPEN && since > SILENCE_MS) {
      handlers.gone();
      retryLater();
    }
    handlers.tick();
  }

  /* `given` has a function for each event, and gone() and tick(), which comes each second. */
  function start(given) {
    handlers = given;
    open();
    setInterval(watch, 1000);
  }

  return { start, silence };
})();
