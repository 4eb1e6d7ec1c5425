"use strict";
// Texts of rows reach the page only as text nodes. Plotly interprets some markup, so it gets escaped texts.
const page = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const whole = new Intl.NumberFormat("en-US");
  const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const many = (value) => (value === null || value === undefined ? "–" : whole.format(value));
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const narrow = () => window.innerWidth < 640;

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  const wrapped = (text, width) => {
    const lines = [];
    let line = "";
    for (const word of text.split(" ")) {
      if (line && line.length + word.length >= width) { lines.push(line); line = ""; }
      line += (line ? " " : "") + word;
    }
    return [...lines, line].map(escaped).join("<br>");
  };

  // ---- Plots ----

  // A plot is drawn when it comes near the visible area, because drawing takes most of the time of opening a page.
  const plots = new Map();
  const due = new Set();
  let ready = false;
  const settings = { displayModeBar: false, responsive: true, showTips: false };
  const touch = window.matchMedia("(pointer: coarse)").matches;

  function base(more = {}) {
    const axis = () => ({
      gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"), tickcolor: colour("line"),
      separatethousands: true, automargin: true, fixedrange: true,
    });
    const titled = (axes) => ({ ...axes, title: { ...axes.title, standoff: 8, font: { size: 13 } } });
    const { xaxis = {}, yaxis = {}, ...rest } = more;
    const fonts = getComputedStyle(document.body).fontFamily;
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: fonts, size: 13, color: colour("soft") },
      margin: { l: 48, r: 12, t: 28, b: 44 }, dragmode: false, hovermode: "x unified",
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { family: fonts, color: colour("ink"), size: 13 }, align: "left" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: colour("ink") } },
      xaxis: titled({ ...axis(), showgrid: false, ...xaxis }),
      yaxis: titled({ ...axis(), rangemode: "tozero", ...yaxis }), ...rest,
    };
  }

  function plot(id, traces, layout, after = null) {
    const place = $(id);
    if (!place) return;
    plots.set(place, () => {
      Plotly.react(place, traces(), layout(), settings);
      place.dataset.drawn = "true";
      if (after) { after(place); after = null; }
    });
    near.observe(place);
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      near.unobserve(entry.target);
      due.add(entry.target);
    }
    drawDue();
  }, { rootMargin: "300px" });

  // One after the other, so that the page stays responsive.
  function drawDue() {
    const [place] = due;
    if (!ready || !place) return;
    due.delete(place);
    plots.get(place)();
    setTimeout(drawDue, 0);
  }

  function drawn() {
    return [...plots.keys()].filter((place) => place.dataset.drawn);
  }

  function bars(histogram, name, shown, hue, opacity = 1) {
    const middles = histogram.edges.slice(1).map((edge, i) => (edge + histogram.edges[i]) / 2);
    const span = histogram.edges.slice(1).map((edge, i) => `${histogram.edges[i].toFixed(2)} to ${edge.toFixed(2)}`);
    return {
      type: "bar", name: shown, x: middles, y: histogram.counts[name], customdata: span, opacity,
      width: histogram.edges[1] - histogram.edges[0], marker: { color: colour(hue), line: { width: 0 } },
      hovertemplate: "%{y:,} (%{customdata})",
    };
  }

  // By default, Plotly puts ticks in the middle of bars.
  function ticks(edges) {
    const span = edges[edges.length - 1] - edges[0];
    const dtick = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((step) => span / step <= (narrow() ? 5 : 10)) ?? 1;
    return { tick0: 0, dtick };
  }

  function steps(histogram, name, shown, hue, filled) {
    const x = [histogram.edges[0]];
    const y = [0];
    histogram.counts[name].forEach((count, i) => {
      x.push(histogram.edges[i], histogram.edges[i + 1]);
      y.push(count, count);
    });
    x.push(histogram.edges[histogram.edges.length - 1]);
    y.push(0);
    return {
      type: "scatter", mode: "lines", name: shown, x, y, line: { color: colour(hue), width: 2, dash: filled ? "solid" : "dot" },
      fill: filled ? "tozeroy" : "none", fillcolor: `${colour(hue)}33`, hovertemplate: "%{y:,}",
    };
  }

  function medianLines(histogram, hues) {
    return Object.entries(hues).filter(([name]) => histogram.medians[name] !== null).map(([name, hue]) => ({
      type: "line", x0: histogram.medians[name], x1: histogram.medians[name], yref: "paper", y0: 0, y1: 1,
      line: { color: colour(hue), width: 1, dash: "dash" },
    }));
  }

  // ---- Drawing ----

  for (const query of ["(prefers-color-scheme: dark)", "(max-width: 640px)"]) {
    window.matchMedia(query).addEventListener("change", () => { for (const place of drawn()) due.add(place); drawDue(); });
  }
  const redrawn = (paper) => {
    document.documentElement.classList.toggle("paper", paper);
    for (const [place, draw] of plots) if (paper || place.dataset.drawn) { draw(); Plotly.Plots.resize(place); }
  };
  window.addEventListener("beforeprint", () => redrawn(true));
  window.addEventListener("afterprint", () => redrawn(false));
  // A table that is wider than its container shows a hint, because many browsers hide scroll bars until you scroll.
  // The hint changes the observed size, so it waits for the next frame.
  const wide = new ResizeObserver((entries) => requestAnimationFrame(() => {
    for (const place of new Set(entries.map(({ target }) => target.closest(".scroll")))) {
      place.classList.toggle("sideways", place.querySelector("table").offsetWidth > place.clientWidth + 1);
    }
  }));
  for (const table of document.querySelectorAll(".scroll > table")) {
    wide.observe(table);
    wide.observe(table.parentElement);
  }
  // Called after the plotting library, which is last on the page because it takes longest to load.
  window.drawPlots = () => { ready = true; drawDue(); };
  return { data, $, fixed, many, colour, escaped, narrow, element, wrapped, touch, plots, plot, base, bars, steps, ticks, medianLines };
})();
