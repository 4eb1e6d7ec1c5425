"use strict";
(() => {
  const { data, colour, escaped, plot, base } = page;
  const shown = (value) => (value === null ? "–" : (value > 0 ? "+" : "") + value.toFixed(4));

  for (const [key, mean] of Object.entries(data.means)) {
    plot(
      `dots-${key}`,
      () => [{
        type: "scatter", mode: "markers", x: mean.values, y: data.names.map((_, i) => i),
        marker: { size: 9, color: data.controls.map((control) => colour(control ? "soft" : "c0")) },
        customdata: data.names.map((name, i) => `${escaped(name)}<br>${shown(mean.values[i])} (${shown(mean.low[i])} to ${shown(mean.high[i])})`),
        error_x: {
          type: "data", symmetric: false, thickness: 2, width: 5, color: colour("soft"),
          array: mean.values.map((value, i) => (mean.high[i] ?? value) - value),
          arrayminus: mean.values.map((value, i) => value - (mean.low[i] ?? value)),
        },
        hovertemplate: "%{customdata}<extra></extra>",
      }],
      () => base({
        hovermode: "closest", showlegend: false, margin: { l: 150, r: 12, t: 6, b: 44 },
        xaxis: { title: { text: "lower is better" }, showgrid: true, zeroline: true, nticks: 5 },
        yaxis: {
          tickvals: data.names.map((_, i) => i), ticktext: data.names.map((name) => escaped(name.length > 22 ? `${name.slice(0, 21)}…` : name)),
          range: [data.names.length - 0.4, -0.6], rangemode: "normal", showgrid: false,
        },
      }),
    );
  }
})();
