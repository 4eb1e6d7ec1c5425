(() => {
  const { plot, base, steps, medianLines } = page;
  const data = page.data.quality;

  for (const [name, histogram] of Object.entries(data)) {
    const after = name === "accepted" ? "accepted" : "rejected";
    plot(
      `quality-${name}`,
      () => [steps(histogram, "before", "parents", "before", false), steps(histogram, "after", "merge", after, true)],
      () => base({ xaxis: { title: { text: "quality score" } }, yaxis: { title: { text: "merges" } }, shapes: medianLines(histogram, { before: "before", after }) }),
    );
  }
})();
