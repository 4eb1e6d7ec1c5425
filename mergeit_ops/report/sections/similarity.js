(() => {
  const { plot, base, bars, ticks } = page;
  const data = page.data.similarity;

  const both = data.medians.rejected !== null;
  plot(
    "similarities",
    () => [
      bars(data, "accepted", data.gated ? "passed" : "made", "accepted"),
      ...(both ? [bars(data, "rejected", "taken apart", "rejected")] : []),
    ],
    () => base({ barmode: "stack", bargap: 0.06, showlegend: both, xaxis: { title: { text: "cosine" }, ...ticks(data.edges) }, yaxis: { title: { text: "merges" } } }),
  );
})();
