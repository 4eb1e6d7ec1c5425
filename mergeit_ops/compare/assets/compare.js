"use strict";
(() => {
  const { data, colour, escaped, plot, base, steps } = page;
  const hues = () => data.colours.map((number) => colour(`c${number}`));

  for (const [key, measure] of Object.entries(data.measures)) {
    const shown = (value) => (value === null ? "–" : value.toFixed(measure.digits));
    plot(
      `dots-${key}`,
      () => [{
        type: "scatter", mode: "markers", x: measure.values, y: data.letters, marker: { size: 9, color: hues() },
        customdata: data.names.map((name, i) => `${escaped(name)}<br>${shown(measure.values[i])} (${shown(measure.low[i])} to ${shown(measure.high[i])})`),
        error_x: {
          type: "data", symmetric: false, thickness: 2, width: 5, color: colour("soft"),
          array: measure.values.map((value, i) => (measure.high[i] ?? value) - value),
          arrayminus: measure.values.map((value, i) => value - (measure.low[i] ?? value)),
        },
        hovertemplate: "%{customdata}<extra></extra>",
      }],
      () => base({
        hovermode: "closest", showlegend: false, margin: { l: 28, r: 12, t: 6, b: 44 },
        xaxis: { title: { text: measure.name }, showgrid: true, nticks: 5 },
        yaxis: { type: "category", range: [data.letters.length - 0.4, -0.6], rangemode: "normal", showgrid: false },
      }),
    );
  }

  if (data.quality) {
    const few = data.letters.length < 4;
    plot(
      "scores",
      () => data.letters.map((letter, i) => ({ ...steps(data.quality, letter, escaped(data.names[i]), `c${data.colours[i]}`, true), fill: few ? "tozeroy" : "none", hovertemplate: "%{y:.1f} %" })),
      () => base({ xaxis: { title: { text: "quality score" } }, yaxis: { title: { text: "% of rows" } } }),
    );
  }
})();
