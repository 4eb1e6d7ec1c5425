(() => {
  const { $, fixed, many, element } = page;
  const data = page.data.merges;

  const PER_PAGE = 12;
  const merges = data.items.map(([row, topic, similarity, before, after, ratio, coverage, kept, rejected, model, merged, parents]) =>
    ({ row, topic, similarity, before, after, ratio, coverage, kept, rejected, model: data.models[model], merged, parents }));
  const percent = (share) => `${Math.round(100 * share)} %`;
  const topicName = (id) => data.topics[id] || `topic ${id}`;
  let pageNumber = 0;

  const text = (merge) => {
    merge.text ??= [merge.merged ?? [], ...merge.parents].flatMap((part) => part.slice(0, 3)).join("\n").toLowerCase();
    return merge.text;
  };
  // Without scores, the least similar pairs are most likely to be bad.
  const worth = (merge) => (merge.ratio ?? (merge.before === null ? merge.similarity : null));
  const orders = {
    worst: [worth, 1], best: [worth, -1], alike: [(m) => m.similarity, -1], unlike: [(m) => m.similarity, 1],
    cover: [(m) => m.coverage, 1], row: [(m) => m.row, 1],
  };

  function wantedMerges() {
    const words = $("merge-search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = $("merge-state").value;
    const topic = $("merge-topic").value;
    const found = merges.filter((merge) =>
      (state === "" || (state === "+" ? merge.rejected === null : state === "-" ? merge.rejected !== null : merge.rejected === state))
      && (topic === "" || merge.topic === Number(topic))
      && words.every((word) => text(merge).includes(word)));
    const [by, direction] = orders[$("merge-order").value];
    return found.sort((a, b) => {
      const [x, y] = [by(a), by(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a.row - b.row;
      return direction * (x - y) || a.row - b.row;
    });
  }

  function fields(sample) {
    const cuts = sample.slice(3);
    return data.parts.flatMap((name, i) => {
      if (i === 1 && !sample[i]) return [];
      const body = element("div", { dir: "auto", tabindex: sample[i].length > 1200 ? "0" : null }, sample[i]);
      const cut = cuts[i] ? element("span", { class: "cut" }, `… ${many(cuts[i])} more characters are not shown`) : null;
      return [element("div", { class: "field" }, element("b", {}, name), body, cut)];
    });
  }

  function sides(merge) {
    const left = element("div", {});
    const share = (kept) => (kept ? `, ${percent(kept[0])} kept${kept[0] < 1 ? ` of its ${kept[1]}` : ""}` : "");
    merge.parents.forEach((parent, i) => left.append(element("h4", {}, `Parent ${i + 1}${share(merge.kept[i])}`), ...fields(parent)));
    const right = element("div", {}, element("h4", {}, merge.rejected === null ? "Merge" : "Merge that was taken apart"));
    if (merge.merged) right.append(...fields(merge.merged));
    else right.append(element("p", { class: "soft" }, "Its text is not in the export."));
    return element("div", { class: "sides" }, left, right);
  }

  function card(merge, open) {
    const passed = merge.rejected === null;
    const verdict = merge.ratio !== null ? `× ${fixed(merge.ratio, 2)}` : passed ? (data.gated ? "no score" : "made") : "no score";
    const facts = [
      passed ? (data.gated ? "passed" : null) : data.reasons[merge.rejected],
      merge.before !== null && merge.after !== null ? `quality ${fixed(merge.before, 2)} → ${fixed(merge.after, 2)}` : null,
      merge.similarity !== null ? `cosine ${fixed(merge.similarity, 2)}` : null,
      merge.coverage !== null ? `keeps ${percent(merge.coverage)}` : null,
      merge.topic !== null ? topicName(merge.topic) : null,
      merge.model || null,
      `row ${many(merge.row)}`,
    ].filter(Boolean);
    const asked = (merge.merged ?? merge.parents[0] ?? [""])[0].slice(0, 200);
    const made = element("details", { class: "merge" },
      element("summary", {},
        element("span", { class: `verdict ${passed ? "passed" : "apart"}` }, verdict),
        element("span", { class: "asked", dir: "auto" }, asked),
        element("span", { class: "facts" }, element("bdi", {}, facts.join(" · ")))));
    made.addEventListener("toggle", () => {
      if (made.open && made.children.length === 1) made.append(sides(merge));
    });
    if (open) { made.append(sides(merge)); made.open = true; }
    return made;
  }

  function showMerges(keepPage = false) {
    const found = wantedMerges();
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    pageNumber = keepPage ? Math.min(Math.max(pageNumber, 0), pages - 1) : 0;
    const part = found.slice(pageNumber * PER_PAGE, (pageNumber + 1) * PER_PAGE);
    $("merge-list").replaceChildren(...part.map((merge, i) => card(merge, i === 0 && pageNumber === 0)));
    $("merge-count").textContent = found.length ? `${many(found.length)} of ${many(merges.length)} merges` : "No merge matches.";
    $("merge-page").textContent = `Page ${many(pageNumber + 1)} of ${many(pages)}`;
    $("merge-previous").disabled = pageNumber === 0;
    $("merge-next").disabled = pageNumber >= pages - 1;
  }

  for (const [reason, words] of Object.entries(data.reasons)) {
    $("merge-state").append(element("option", { value: reason }, `taken apart: ${words}`));
  }
  const named = Object.keys(data.topics).map((id) => [topicName(id), id]);
  named.sort(([a], [b]) => a.localeCompare(b));
  $("merge-topic").append(...named.map(([name, id]) => element("option", { value: id }, name)));
  if (!merges.some((merge) => merge.coverage !== null)) $("merge-order").querySelector('[value="cover"]').remove();
  if (merges.every((merge) => merge.rejected === null)) $("merge-state").parentElement.hidden = true;
  let waiting = 0;
  $("merge-search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(showMerges, 120); });
  for (const id of ["merge-order", "merge-state", "merge-topic"]) $(id).addEventListener("change", () => showMerges());
  // A topic that is chosen on the map is chosen here too, if it has merges.
  document.addEventListener("topic", ({ detail: id }) => {
    const select = $("merge-topic");
    const value = id === null ? "" : String(id);
    if ([...select.options].some((option) => option.value === value)) { select.value = value; showMerges(); }
  });
  const turn = (by) => () => { pageNumber += by; showMerges(true); $("merges").scrollIntoView({ block: "start" }); };
  $("merge-previous").addEventListener("click", turn(-1));
  $("merge-next").addEventListener("click", turn(1));
  showMerges();
})();
