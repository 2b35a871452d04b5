/*
 * The line to the server: its events, and whether it is there. Read by fetch(), since an EventSource
 * can neither bring a token nor say why it was refused. A line that was lost, refused or just fell
 * silent is opened again. A page that nobody sees has none: a browser opens six connections to a
 * host, for all of its tabs.
 */
"use strict";

const live = (() => {
  const SILENCE_MS = 5000; // events come each second
  const RETRY_MS = 2000;
  const PATIENT_MS = 5000; // before we ask again whether there is room, or we are let in now
  const EVENTS = ["history", "summary", "top"];

  let handlers = {};
  let line = null; // the AbortController of the request; null while there is none
  let lastEvent = null; // when the last event came, by performance.now()
  let opened = 0; // when the line was asked for
  let retrying = 0;

  /* How long ago the last event came, in ms; null when there was none. */
  const silence = () => lastEvent === null ? null : performance.now() - lastEvent;

  /* An event's lines, as the HTML standard has them; tallyd writes a blank behind each colon. */
  function deliver(block) {
    const fields = new Map(block.split("\n").map((text) => text.split(/: (.*)/s, 2)));
    if (EVENTS.includes(fields.get("event"))) {
      lastEvent = performance.now();
      handlers[fields.get("event")](dom.parse(fields.get("data")));
    }
  }

  async function readEvents(body, mine) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done || line !== mine) {
        return;
      }
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      blocks.forEach(deliver);
    }
  }

  /* Follows the events to their end; returns what came of it, a handler's name. */
  async function follow(mine) {
    const response = await access.ask("/events", {
      signal: mine.signal, cache: "no-store", headers: { Accept: "text/event-stream" },
    });
    if (response.ok) {
      await readEvents(response.body, mine);
      return "gone";
    }
    await response.text(); // so that the connection can be used again
    if (access.wantsCertificate(response)) {
      return "barred";
    }
    return access.isLocked() ? "locked" : "crowded";
  }

  async function open() {
    const mine = new AbortController();
    opened = performance.now();
    line = mine;
    const end = await follow(mine).catch(() => "gone");
    if (line === mine) { // else it was closed here, and its end is no news
      lose(end);
    }
  }

  function close() {
    clearTimeout(retrying);
    line?.abort();
    line = null;
  }

  /* There are no events, for the reason `why`; a locked page waits for a token. */
  function lose(why) {
    close();
    handlers[why]();
    if (why !== "locked") {
      retrying = setTimeout(reopen, why === "gone" ? RETRY_MS : PATIENT_MS);
    }
  }

  function watch() {
    const since = performance.now() - Math.max(lastEvent ?? 0, opened);
    if (line && since > SILENCE_MS) {
      lose("gone");
    }
    handlers.tick();
  }

  function reopen() {
    close();
    if (document.hidden) {
      handlers.paused();
    } else if (access.isLocked()) {
      handlers.locked();
    } else {
      open();
    }
  }

  /* `given` has a function for each event; gone(); crowded(), when the server is there but has no
   * room; locked(), when it wants a token; barred(), when it wants a certificate; paused(), when
   * the page gets hidden; and tick(), which comes each second. */
  function start(given) {
    handlers = given;
    document.addEventListener("visibilitychange", reopen);
    reopen();
    setInterval(watch, 1000);
  }

  return { start, reopen, silence };
})();
