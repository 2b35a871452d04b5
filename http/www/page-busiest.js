/*
 * The busiest devices, by rate and by count. The server sends whole tables once and then the ranks
 * that changed; a sparkline shows what was seen of a device's rate while it stood in either table.
 */
"use strict";

const busiest = (() => {
  const SECONDS = 60; // that a sparkline shows

  const tables = { by_rate: [], by_count: [] };
  const traces = new Map(); // device_id -> rates, the oldest first
  let traced = null; // when the traces last grew, in ms
  let complete = false; // the tables hold every rank
  let order = "by_rate";

  function apply(list, rows, length) {
    for (const row of rows) {
      list[row.rank - 1] = row;
    }
    list.length = length;
  }

  /* The whole seconds before the last one for which there was no event. */
  function missed(at) {
    const seconds = traced === null ? 0 : Math.round((at - traced) / 1000) - 1;
    return Math.min(Math.max(seconds, 0), SECONDS);
  }

  /* One more second for every device that is known, after those that were missed; one that left the
   * tables long ago goes. When the tables are stale nothing is known of this second. */
  function trace(stale, at) {
    const gap = Array(missed(at)).fill(null);
    const rates = new Map();
    for (const row of [...tables.by_rate, ...tables.by_count]) {
      rates.set(row.device_id, row.rate);
      if (!traces.has(row.device_id)) {
        traces.set(row.device_id, []);
      }
    }
    for (const [device, seen] of traces) {
      seen.push(...gap, stale ? null : rates.get(device) ?? null);
      seen.splice(0, seen.length - SECONDS);
      if (!rates.has(device) && seen.every((rate) => rate === null)) {
        traces.delete(device);
      }
    }
    traced = at;
  }

  function makeRow() {
    const line = dom.cell("trace");
    line.append(charts.createSparkline());
    return dom.row(
      dom.cell("rank"), dom.deviceCell(), dom.cell("figure"), dom.cell("figure"), line);
  }

  function drawRow(cells, row, rank) {
    const [place, device, count, rate, line] = cells;
    dom.setText(place, strings.count(rank));
    dom.setText(device, dom.visible(row.device_id));
    device.title = device.textContent; // a long id is cut
    dom.setText(count, strings.count(row.count));
    dom.setText(rate, strings.rate(row.rate));
    charts.drawSparkline(line.firstElementChild, traces.get(row.device_id), SECONDS);
  }

  function draw() {
    const rows = tables[order];
    const body = dom.byId("busiest-rows");
    dom.resizeRows(body, rows.length, makeRow);
    rows.forEach((row, i) => drawRow(body.rows[i].cells, row, i + 1));
    const nothing = tables.by_count.length === 0 ? "nothing.counted" : "busiest.still";
    dom.show("busiest-words", rows.length === 0 ? strings.text(nothing) : "");
  }

  /* `event` is a "top" event that came `at` ms, `stale` whether Redis answers no more. */
  function update(event, stale, at) {
    if (!event.full && !complete) {
      return; // changes of a table that was never seen
    }
    complete = true;
    apply(tables.by_rate, event.by_rate, event.by_rate_length);
    apply(tables.by_count, event.by_count, event.by_count_length);
    trace(stale, at);
    draw();
  }

  /* The connection is gone: the next one begins with whole tables. */
  function forget() {
    complete = false;
  }

  function start() {
    for (const input of document.querySelectorAll("input[name=order]")) {
      input.addEventListener("change", () => {
        order = input.value;
        dom.byId("busiest-table").dataset.order = order;
        if (complete) {
          draw();
        }
      });
    }
  }

  return { start, update, forget };
})();
