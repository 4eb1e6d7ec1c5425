(() => {
  const { $, many, colour, plot, base } = page;
  const data = page.data.gamma;

  const slider = $("gamma-slider");
  const marks = () => [data.start, Number(slider.value)].map((at, i) => ({
    type: "line", x0: data.gammas[at], x1: data.gammas[at], yref: "paper", y0: 0, y1: 1,
    line: { color: colour(i ? "rejected" : "soft"), width: i ? 2 : 1, dash: i ? "solid" : "dash" },
  }));
  const told = () => {
    const at = Number(slider.value);
    const change = data.rows[at] - data.rows[data.start];
    $("gamma-value").textContent = data.gammas[at].toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
    slider.setAttribute("aria-valuetext", `gamma ${data.gammas[at]}, ${data.passing[at]} merges pass`);
    $("gamma-passing").textContent = many(data.passing[at]);
    $("gamma-rows").textContent = many(data.rows[at]);
    $("gamma-change").textContent = change && data.known ? ` (${change > 0 ? "+" : "−"}${many(Math.abs(change))} compared with the run)` : "";
    if ($("gammas").data) Plotly.relayout($("gammas"), { shapes: marks() });
  };
  plot(
    "gammas",
    () => [{ type: "scatter", mode: "lines", x: data.gammas, y: data.passing, line: { color: colour("accepted"), width: 2, shape: "hv" }, hovertemplate: "%{y:,} pass<extra></extra>" }],
    () => base({ xaxis: { title: { text: "gamma" } }, yaxis: { title: { text: "merges that pass" } }, shapes: marks(), showlegend: false }),
  );
  slider.addEventListener("input", told);
  $("gamma-reset").addEventListener("click", () => { slider.value = data.start; told(); });
  told();
})();
