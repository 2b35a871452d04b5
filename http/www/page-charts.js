/*
 * The rate of the last five minutes: its points, the chart, and the same in words and as a table;
 * and sparklines. The chart is uPlot's, or, in a build without it, a line of our own. A second
 * without a figure is a gap in the line, not a zero.
 */
"use strict";

const charts = (() => {
  const SPAN_S = 300;
  const SLICE_S = 30; // a row of the table
  const GAP_S = 2.5;
  const SVG = "http://www.w3.org/2000/svg";

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

  function svgElement(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) {
      element.setAttribute(key, value);
    }
    return element;
  }

  /* Points {at, rate}, the oldest first; `at` and `now` in seconds of one clock. */
  function createHistory() {
    let points = [];

    function add(rate, now) {
      const last = points.at(-1);
      if (last && now - last.at < 0.5) {
        points.pop();
      } else if (last && now - last.at > GAP_S) {
        points.push({ at: last.at + 1, rate: null });
      }
      points.push({ at: now, rate });
      points = points.filter((point) => now - point.at <= SPAN_S);
    }

    /* What the server remembers, in place of what was seen in that time. */
    function replace(rates, intervalS, now) {
      const first = now - (rates.length - 1) * intervalS;
      points = points.filter((point) => point.at < first - intervalS / 2);
      rates.forEach((rate, i) => add(rate, first + i * intervalS));
    }

    return { add, replace, points: () => points };
  }

  const known = (points) => points.map((point) => point.rate).filter((rate) => rate !== null);
  const mean = (rates) => rates.reduce((sum, rate) => sum + rate, 0) / rates.length;

  function describe(points) {
    const rates = known(points);
    if (rates.length === 0) {
      return strings.text("history.none");
    }
    return strings.text("history.words", {
      low: strings.rate(Math.min(...rates)),
      mean: strings.rate(mean(rates)),
      high: strings.rate(Math.max(...rates)),
    });
  }

  /* One row for each half minute, the newest first. */
  function tabulate(body, points, now) {
    const slices = SPAN_S / SLICE_S;
    dom.resizeRows(body, slices, () => dom.row(dom.cell("", "th"), dom.cell("figure")));
    for (let i = 0; i < slices; i++) {
      const end = now - i * SLICE_S;
      const rates = known(points.filter(({ at }) => at <= end && at > end - SLICE_S));
      const age = strings.duration((i + 1) * SLICE_S * 1000);
      const [when, rate] = body.rows[i].cells;
      when.scope = "row";
      dom.setText(when, strings.text("history.ago", { age }));
      dom.setText(rate, strings.rate(rates.length > 0 ? mean(rates) : null));
    }
  }

  const axis = (more) => ({
    stroke: () => colour("--muted"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    ...more,
  });

  function minutesAgo(plot, splits) {
    return splits.map((at) => at === 0
      ? strings.text("history.now") : strings.minutes(at / 60));
  }

  function plotOptions(size, onReading) {
    return {
      ...size,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: () => [-SPAN_S, 0] },
        y: { range: (plot, low, high) => [0, Math.max(10, high ?? 0) * 1.1] },
      },
      series: [{}, {
        stroke: () => colour("--accent"),
        fill: () => colour("--accent-wash"),
        width: 1.5,
        points: { show: false },
      }],
      axes: [
        axis({ splits: () => [-300, -240, -180, -120, -60, 0], values: minutesAgo, size: 24 }),
        axis({ values: (plot, splits) => splits.map(strings.short), size: 52 }),
      ],
      hooks: { setCursor: [(plot) => onReading(plot.cursor.idx)] },
    };
  }

  function createPlot(box) {
    const size = () => ({ width: box.clientWidth, height: box.clientHeight });
    let shown = [];

    function tellReading(index) {
      const point = index === null || index === undefined ? undefined : shown[index];
      const age = point && strings.duration(-point.x * 1000);
      dom.show("chart-reading", point && point.rate !== null
        ? strings.text("history.reading", { age, rate: strings.rate(point.rate) }) : "");
    }

    const plot = new uPlot(plotOptions(size(), tellReading), [[], []], box);
    new ResizeObserver(() => plot.setSize(size())).observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => plot.redraw());
    return (points, now) => {
      shown = points.map(({ at, rate }) => ({ x: at - now, rate }));
      plot.setData([shown.map(({ x }) => x), shown.map(({ rate }) => rate)]);
    };
  }

  /* The line's points, broken where a rate is null; a list of "x,y x,y" texts. */
  function lines(points) {
    const parts = [[]];
    for (const { x, y } of points) {
      if (y === null) {
        parts.push([]);
      } else {
        parts.at(-1).push(`${x.toFixed(1)},${y.toFixed(1)}`);
      }
    }
    return parts.filter((part) => part.length > 0).map((part) => part.join(" "));
  }

  function drawLines(svg, points) {
    const texts = lines(points);
    while (svg.childElementCount > texts.length) {
      svg.lastElementChild.remove();
    }
    while (svg.childElementCount < texts.length) {
      svg.append(svgElement("polyline", { "vector-effect": "non-scaling-stroke" }));
    }
    texts.forEach((text, i) => svg.children[i].setAttribute("points", text));
  }

  /* Without uPlot: the line alone, its highest value written above it. The box around it is the
   * image that has a name. */
  function createLine(box) {
    const high = document.createElement("p");
    high.className = "small";
    const svg = svgElement("svg", {
      viewBox: `0 0 ${SPAN_S} 100`, preserveAspectRatio: "none", "aria-hidden": "true",
    });
    svg.setAttribute("class", "line");
    box.append(high, svg);
    return (points, now) => {
      const top = Math.max(1, ...known(points));
      dom.setText(high, strings.short(top));
      drawLines(svg, points.map(({ at, rate }) => (
        { x: SPAN_S + at - now, y: rate === null ? null : 100 - 99 * rate / top })));
    };
  }

  /* The chart in `box` with its words and its table; the result redraws all of it. */
  function createRateChart() {
    const box = dom.byId("chart");
    const table = dom.byId("chart-table");
    const draw = typeof uPlot === "undefined" ? createLine(box) : createPlot(box);
    const history = createHistory();

    function redraw(now) {
      draw(history.points(), now);
      dom.show("chart-words", describe(history.points()));
      if (table.open) {
        tabulate(dom.byId("chart-rows"), history.points(), now);
      }
    }

    table.addEventListener("toggle", () => redraw(performance.now() / 1000));
    return { history, redraw };
  }

  const SPARK = { width: 96, height: 20 };

  function createSparkline() {
    const viewBox = `0 0 ${SPARK.width} ${SPARK.height}`;
    const svg = svgElement("svg", { viewBox, "aria-hidden": "true" });
    svg.setAttribute("class", "sparkline");
    return svg;
  }

  /* `rates`, the oldest first, null where there was none; the newest at the right end of `length`
   * places. */
  function drawSparkline(svg, rates, length) {
    const top = Math.max(1e-9, ...rates.filter((rate) => rate !== null));
    const start = length - rates.length;
    drawLines(svg, rates.map((rate, i) => ({
      x: (start + i) * SPARK.width / (length - 1),
      y: rate === null ? null : SPARK.height - 1.5 - (SPARK.height - 3) * rate / top,
    })));
  }

  return { createRateChart, createSparkline, drawSparkline };
})();
