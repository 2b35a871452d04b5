/*
 * What the page is now: connecting, live, stale (the server is there, but Redis does not answer
 * it), crowded (the server has no room for one more listener), locked (it wants a token), barred
 * (it wants a client certificate) or without a server. It states which, shows the large figures
 * and hands the events to the parts.
 */
"use strict";

(() => {
  const MARKS = {
    connecting: "…", live: "✓", stale: "!", crowded: "!", locked: "!", barred: "!", gone: "✕",
  };

  const nowS = () => performance.now() / 1000;
  let link = "connecting";
  let summary = null; // the last one
  let chart = null;

  function bannerText() {
    if (link === "gone") {
      const silence = live.silence();
      return silence === null ? strings.text("banner.never")
        : strings.text("banner.gone", { age: strings.duration(silence) });
    }
    if (link === "stale") {
      return summary.age_ms === null ? strings.text("banner.none")
        : strings.text("banner.stale", { age: strings.duration(summary.age_ms) });
    }
    return ["crowded", "barred"].includes(link) ? strings.text(`banner.${link}`) : "";
  }

  function showBanner() {
    const text = bannerText();
    dom.show("banner", text);
    dom.byId("banner").hidden = text === "";
  }

  /* What is only as it should be is not worth a word to who has just come. */
  function isNews(state) {
    return state !== "connecting"
      && (link !== "connecting" || ["gone", "crowded", "locked", "barred"].includes(state));
  }

  function setLink(state) {
    if (state !== link) {
      if (isNews(state)) {
        dom.announce(strings.text(`announce.${state}`));
      }
      link = state;
      document.body.dataset.link = state;
      dom.show("link-mark", MARKS[state]);
      dom.show("link-state", strings.text(`link.${state}`));
      document.title = state === "live" ? "tallyd" : `${MARKS[state]} tallyd`;
    }
    showBanner();
  }

  /* When the server rendered the event, in ms of its clock; null when it does not say. */
  const renderedMs = (event) => event.committed_at === null ? null
    : Date.parse(event.committed_at) + event.age_ms;

  function onSummary(event) {
    const returned = link === "gone";
    summary = event;
    setLink(event.stale ? "stale" : "live");
    dom.show("instance", dom.visible(event.instance));
    dom.showLarge("total", strings.count(event.total));
    dom.show("devices", strings.count(event.devices));
    dom.showLarge("rate", strings.rate(event.rates["1s"]));
    dom.show("rate-10s", strings.rate(event.rates["10s"]));
    dom.show("rate-1m", strings.rate(event.rates["1m"]));
    pipeline.update(event.pipeline, event.rates["1s"], performance.now(), renderedMs(event));
    chart.history.add(event.rates["1s"], nowS());
    chart.redraw(nowS());
    if (returned) {
      search.refresh();
    }
  }

  function onHistory(event) {
    chart.history.replace(event.rates, event.interval_ms / 1000, nowS());
    chart.redraw(nowS());
  }

  function onTop(event) {
    busiest.update(event, link === "stale", performance.now());
  }

  /* There are no events, for the reason that `state` names. */
  function lose(state) {
    setLink(state);
    pipeline.forget();
    busiest.forget();
  }

  function onTick() {
    if (link === "gone") {
      showBanner();
      chart.redraw(nowS());
    }
  }

  function onUnlock() {
    setLink("connecting");
    live.reopen();
    search.refresh();
  }

  strings.translate();
  access.start(onUnlock);
  chart = charts.createRateChart();
  busiest.start();
  search.start();
  live.start({
    history: onHistory,
    summary: onSummary,
    top: onTop,
    gone: () => lose("gone"),
    crowded: () => lose("crowded"),
    locked: () => lose("locked"),
    barred: () => lose("barred"),
    paused: () => lose("connecting"),
    tick: onTick,
  });
})();
