/*
 * The search: one page of /metrics at a time, 50 rows at most, so that a million devices cost no
 * more than fifty. A page is known by the cursor it begins at; those of the pages before are kept,
 * which is how one goes back. The page that is shown is asked for again now and then, so that its
 * counts stay fresh.
 */
"use strict";

const search = (() => {
  const ROWS = 50;
  const TYPING_MS = 200;
  const REFRESH_MS = 2000;

  let cursors = [null]; // where each page begins, up to the one that is shown
  let next = null; // where the page after it begins
  let asking = null; // the AbortController of the request that runs
  let timer = 0;

  function address() {
    const query = new URLSearchParams({ limit: ROWS, sort: dom.byId("sort").value });
    if (dom.byId("prefix").value) {
      query.set("prefix", dom.byId("prefix").value);
    }
    if (cursors.at(-1)) {
      query.set("cursor", cursors.at(-1));
    }
    return `/metrics?${query}`;
  }

  const makeRow = () => dom.row(dom.deviceCell(), dom.cell("figure"));

  function showRows(rows) {
    const body = dom.byId("find-rows");
    dom.resizeRows(body, rows.length, makeRow);
    rows.forEach(({ device_id, count }, i) => {
      dom.setText(body.rows[i].cells[0], dom.visible(device_id));
      dom.setText(body.rows[i].cells[1], strings.count(count));
    });
    const before = (cursors.length - 1) * ROWS;
    const nothing = dom.byId("prefix").value ? "find.nothing" : "nothing.counted";
    dom.show("find-words", rows.length === 0 ? strings.text(nothing)
      : strings.text("find.rows", {
        first: strings.count(before + 1), last: strings.count(before + rows.length),
      }));
  }

  /* A button that is about to be disabled would lose the focus: it goes to the other one. */
  function setButtons() {
    const buttons = { previous: cursors.length === 1, next: next === null };
    for (const [id, disabled] of Object.entries(buttons)) {
      const button = dom.byId(id);
      const focused = document.activeElement === button;
      button.disabled = disabled;
      if (focused && disabled) {
        const other = dom.byId(id === "next" ? "previous" : "next");
        (other.disabled ? dom.byId("prefix") : other).focus();
      }
    }
  }

  async function tellFailure(response) {
    const problem = await response.json().catch(() => ({}));
    const detail = problem.detail ?? response.statusText;
    dom.show("find-words", strings.text("find.failed", { status: response.status, detail }));
  }

  async function receive(response) {
    if (!response.ok) {
      await (access.isLocked() ? response.text() : tellFailure(response));
      return;
    }
    const rows = dom.parse(await response.text());
    next = response.headers.get("X-Tally-Next-Cursor");
    showRows(rows);
  }

  async function ask() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    clearTimeout(timer);
    try {
      await receive(await access.ask(address(), {
        signal: mine.signal, cache: "no-cache", headers: { Accept: "application/json" },
      }));
    } catch (error) {
      if (error.name === "AbortError") {
        return; // a newer request took its place
      }
      dom.show("find-words", strings.text("find.unreachable"));
    }
    if (asking === mine) {
      asking = null;
      setButtons(); // after a failure too: there must be a way back
      timer = setTimeout(refresh, REFRESH_MS);
    }
  }

  function refresh() {
    if (document.hidden || access.isLocked()) {
      timer = setTimeout(refresh, REFRESH_MS);
    } else {
      ask();
    }
  }

  /* To the first page; a cursor of another prefix or order would be refused. */
  function rewind() {
    cursors = [null];
    next = null;
    setButtons();
  }

  function first() {
    rewind();
    ask();
  }

  function turn() {
    dom.byId("find-box").scrollTop = 0;
    ask();
  }

  function onNext() {
    if (next !== null) {
      cursors.push(next);
      next = null; // not known before the answer
      turn();
    }
  }

  function onPrevious() {
    if (cursors.length > 1) {
      cursors.pop();
      turn();
    }
  }

  function start() {
    dom.byId("prefix").addEventListener("input", () => {
      asking?.abort();
      clearTimeout(timer);
      rewind();
      timer = setTimeout(ask, TYPING_MS);
    });
    dom.byId("sort").addEventListener("change", first);
    dom.byId("find").addEventListener("submit", (event) => {
      event.preventDefault();
      first();
    });
    dom.byId("next").addEventListener("click", onNext);
    dom.byId("previous").addEventListener("click", onPrevious);
    ask();
  }

  return { start, refresh };
})();
