"use strict";
(() => {
  const { data, $, fixed, many, colour, escaped, narrow, element, wrapped, touch, plots, plot, base, bars, steps, ticks, medianLines } = page;

  const topicName = (topic) => (topic.label ? topic.label : `topic ${topic.id}`);

  for (const [name, histogram] of Object.entries(data.quality)) {
    const after = name === "accepted" ? "accepted" : "rejected";
    plot(
      `quality-${name}`,
      () => [steps(histogram, "before", "parents", "before", false), steps(histogram, "after", "merge", after, true)],
      () => base({ xaxis: { title: { text: "quality score" } }, yaxis: { title: { text: "merges" } }, shapes: medianLines(histogram, { before: "before", after }) }),
    );
  }

  if (data.similarity) {
    const both = data.similarity.medians.rejected !== null;
    plot(
      "similarities",
      () => [
        bars(data.similarity, "accepted", data.whatIf ? "passed" : "made", "accepted"),
        ...(both ? [bars(data.similarity, "rejected", "taken apart", "rejected")] : []),
      ],
      () => base({ barmode: "stack", bargap: 0.06, showlegend: both, xaxis: { title: { text: "cosine" }, ...ticks(data.similarity.edges) }, yaxis: { title: { text: "merges" } } }),
    );
  }

  // ---- Map ----

  let highlighted = -1;
  const symbols = { merged: "diamond", restored: "circle-open", original: "circle" };
  const statusNames = { merged: "merge", restored: "given back", original: "never merged" };

  function mapTraces() {
    const map = data.map;
    const hues = data.topics.map((topic) => colour(`c${topic.colour}`));
    const faded = colour("faded");
    return [...new Set(map.status)].sort().map((status) => {
      // What is highlighted is drawn last, above the rest.
      const rows = map.status.map((value, row) => row).filter((row) => map.status[row] === status);
      rows.sort((a, b) => (map.topic[a] === highlighted) - (map.topic[b] === highlighted));
      return {
        type: "scatter", mode: "markers", name: statusNames[status] ?? "row",
        x: rows.map((row) => map.x[row]), y: rows.map((row) => map.y[row]), customdata: rows,
        text: rows.map((row) => {
          const topic = data.topics[map.topic[row]];
          return (topic ? `<b>${escaped(topicName(topic))}</b><br>` : "") + wrapped(map.text[row], 60);
        }),
        hoverinfo: "text",
        marker: {
          symbol: symbols[status] ?? "circle", opacity: 0.85, line: { width: status === "restored" ? 1 : 0 },
          size: rows.map((row) => (status === "merged" ? 7 : 5) + (highlighted >= 0 && map.topic[row] === highlighted ? 2 : 0)),
          color: rows.map((row) => (highlighted >= 0 && map.topic[row] !== highlighted ? faded : hues[map.topic[row]] ?? colour("plain"))),
        },
      };
    });
  }

  function mapLabels() {
    const shown = highlighted >= 0 ? [highlighted] : data.topics.map((_, i) => i)
      .filter((i) => data.map.centres[i] && data.topics[i].label)
      .sort((a, b) => data.topics[b].rows - data.topics[a].rows);
    const placed = [];
    for (const i of shown) {
      const [x, y] = data.map.centres[i] ?? [];
      if (x === undefined) continue;
      // Labels may not lie on each other.
      const reach = narrow() ? [0.75, 0.14] : [0.36, 0.11];
      if (placed.some((other) => Math.abs(other.x - x) < reach[0] && Math.abs(other.y - y) < reach[1])) continue;
      placed.push({ x, y, i });
      if (placed.length >= (narrow() ? 7 : 16)) break;
    }
    return placed.map(({ x, y, i }) => ({
      x, y, showarrow: false, text: escaped(topicName(data.topics[i]).split(", ").slice(0, 2).join(", ")),
      font: { size: 12, color: colour("ink") }, bgcolor: `${colour("paper")}cc`, borderpad: 2,
    }));
  }

  const mapLayout = () => {
    // The axes of t-SNE have no unit: the map fills its place.
    const axis = { visible: false, fixedrange: touch, rangemode: "normal" };
    return base({
      xaxis: axis, yaxis: { ...axis }, hovermode: "closest", dragmode: touch ? false : "zoom",
      margin: { l: 0, r: 0, t: 32, b: 0 }, annotations: mapLabels(), showlegend: true,
    });
  };

  function highlight(topic) {
    highlighted = topic === highlighted ? -1 : topic;
    for (const row of document.querySelectorAll("#topic-table tbody tr")) {
      row.setAttribute("aria-selected", String(Number(row.dataset.topic) === highlighted));
    }
    if (data.map) {
      if ($("map").dataset.drawn) plots.get($("map"))();
      $("map-state").textContent = highlighted >= 0 ? `Only “${topicName(data.topics[highlighted])}” is coloured.` : "";
      $("map-clear").hidden = highlighted < 0;
    }
    const select = $("merge-topic");
    if (select) {
      const value = highlighted >= 0 ? String(highlighted) : "";
      if ([...select.options].some((option) => option.value === value)) { select.value = value; showMerges(); }
    }
  }

  if (data.map) {
    plot("map", mapTraces, mapLayout, (place) => place.on("plotly_click", (event) => {
      const topic = data.map.topic[event.points[0].customdata];
      if (topic >= 0) highlight(topic);
    }));
    $("map-clear").addEventListener("click", () => highlight(highlighted));
  }

  // ---- Table of topics ----

  const columns = [
    ["Topic", (topic) => topicName(topic), "text"],
    ["Size", (topic) => topic.size, 0],
    ["Selected", (topic) => topic.selected, 0],
    ["Merged", (topic) => topic.merged, 0],
    ["Restored", (topic) => topic.restored, 0],
    ["Out", (topic) => topic.rows, 0],
    ["Quality", (topic) => topic.quality, 2],
  ].filter(([, value]) => data.topics.some((topic) => value(topic) !== null));
  let sortedBy = columns.findIndex(([name]) => name === "Out");
  let descending = true;

  function showTopics() {
    const wanted = $("topic-search").value.trim().toLowerCase();
    const [, value] = columns[sortedBy];
    const rows = data.topics.map((topic, i) => [topic, i]).filter(([topic]) => topicName(topic).toLowerCase().includes(wanted));
    rows.sort(([a, i], [b, j]) => {
      const [x, y] = [value(a), value(b)];
      // What is not known stands last, whatever the direction.
      if (x === null || y === null) return (x === null) - (y === null) || i - j;
      const order = typeof x === "string" ? x.localeCompare(y) : x - y;
      return (descending ? -order : order) || i - j;
    });
    $("topic-table").tBodies[0].replaceChildren(...rows.map(([topic, i]) => {
      const button = element("button", { type: "button", class: "topic", title: "Show this topic alone" },
        data.map ? element("span", { class: "swatch", "aria-hidden": "true", style: `background: var(--c${topic.colour})` }) : "",
        element("bdi", {}, topicName(topic)), element("span", { class: "soft" }, ` ${topic.id}`));
      button.addEventListener("click", () => highlight(i));
      return element("tr", { "data-topic": i, "aria-selected": String(i === highlighted) },
        element("td", {}, button),
        ...columns.slice(1).map(([, read, digits]) => element("td", {}, digits ? fixed(read(topic), digits) : many(read(topic)))));
    }));
    $("topic-count").textContent = `${many(rows.length)} of ${many(data.topics.length)} topics`;
    [...$("topic-table").tHead.rows[0].cells].forEach((cell, i) => {
      if (i === sortedBy) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

  if ($("topic-table")) {
    $("topic-table").tHead.rows[0].append(...columns.map(([name, , kind], i) => {
      const button = element("button", { type: "button" }, name);
      button.addEventListener("click", () => {
        descending = i === sortedBy ? !descending : kind !== "text";
        sortedBy = i;
        showTopics();
      });
      return element("th", { scope: "col" }, button);
    }));
    $("topic-search").addEventListener("input", showTopics);
    showTopics();
  }

  // ---- What if ----

  if (data.whatIf) {
    const what = data.whatIf;
    const slider = $("gamma-slider");
    const marks = () => [what.start, Number(slider.value)].map((at, i) => ({
      type: "line", x0: what.gammas[at], x1: what.gammas[at], yref: "paper", y0: 0, y1: 1,
      line: { color: colour(i ? "rejected" : "soft"), width: i ? 2 : 1, dash: i ? "solid" : "dash" },
    }));
    const told = () => {
      const at = Number(slider.value);
      const change = what.rows[at] - what.rows[what.start];
      $("gamma-value").textContent = what.gammas[at].toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 4 });
      slider.setAttribute("aria-valuetext", `gamma ${what.gammas[at]}, ${what.passing[at]} merges pass`);
      $("gamma-passing").textContent = many(what.passing[at]);
      $("gamma-rows").textContent = many(what.rows[at]);
      $("gamma-change").textContent = change && what.known ? ` (${change > 0 ? "+" : "−"}${many(Math.abs(change))} against the run)` : "";
      if ($("gammas").data) Plotly.relayout($("gammas"), { shapes: marks() });
    };
    plot(
      "gammas",
      () => [{ type: "scatter", mode: "lines", x: what.gammas, y: what.passing, line: { color: colour("accepted"), width: 2, shape: "hv" }, hovertemplate: "%{y:,} pass<extra></extra>" }],
      () => base({ xaxis: { title: { text: "gamma" } }, yaxis: { title: { text: "merges that pass" } }, shapes: marks(), showlegend: false }),
    );
    slider.addEventListener("input", told);
    $("gamma-reset").addEventListener("click", () => { slider.value = what.start; told(); });
    told();
  }

  // ---- Merges ----

  const PER_PAGE = 12;
  const merges = data.merges.items.map(([row, topic, similarity, before, after, ratio, coverage, kept, rejected, model, merged, parents]) =>
    ({ row, topic, similarity, before, after, ratio, coverage, kept, rejected, model: data.merges.models[model], merged, parents }));
  const percent = (share) => `${Math.round(100 * share)} %`;
  let pageNumber = 0;

  const text = (merge) => {
    merge.text ??= [merge.merged ?? [], ...merge.parents].flatMap((part) => part.slice(0, 3)).join("\n").toLowerCase();
    return merge.text;
  };
  // Without scores, the least alike are the likeliest to be bad.
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
    return ["Instruction", "Input", "Output"].flatMap((name, i) => {
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
    const verdict = merge.ratio !== null ? `× ${fixed(merge.ratio, 2)}` : passed ? (data.whatIf ? "no score" : "made") : "no score";
    const facts = [
      passed ? (data.whatIf ? "passed" : null) : data.merges.reasons[merge.rejected],
      merge.before !== null && merge.after !== null ? `quality ${fixed(merge.before, 2)} → ${fixed(merge.after, 2)}` : null,
      merge.similarity !== null ? `cosine ${fixed(merge.similarity, 2)}` : null,
      merge.coverage !== null ? `keeps ${percent(merge.coverage)}` : null,
      data.topics[merge.topic] ? topicName(data.topics[merge.topic]) : null,
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
    $("merge-count").textContent = found.length ? `${many(found.length)} of ${many(merges.length)} merges` : "No merge fits.";
    $("merge-page").textContent = `Page ${many(pageNumber + 1)} of ${many(pages)}`;
    $("merge-previous").disabled = pageNumber === 0;
    $("merge-next").disabled = pageNumber >= pages - 1;
  }

  if ($("merge-list")) {
    for (const [reason, words] of Object.entries(data.merges.reasons)) {
      $("merge-state").append(element("option", { value: reason }, `taken apart: ${words}`));
    }
    const there = new Set(merges.map((merge) => merge.topic));
    const named = data.topics.map((topic, i) => [topicName(topic), i]).filter(([, i]) => there.has(i));
    named.sort(([a], [b]) => a.localeCompare(b));
    $("merge-topic").append(...named.map(([name, i]) => element("option", { value: i }, name)));
    if (!merges.some((merge) => merge.coverage !== null)) $("merge-order").querySelector('[value="cover"]').remove();
    if (merges.every((merge) => merge.rejected === null)) $("merge-state").parentElement.hidden = true;
    let waiting = 0;
    $("merge-search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(showMerges, 120); });
    for (const id of ["merge-order", "merge-state", "merge-topic"]) $(id).addEventListener("change", () => showMerges());
    const turn = (by) => () => { pageNumber += by; showMerges(true); $("merges").scrollIntoView({ block: "start" }); };
    $("merge-previous").addEventListener("click", turn(-1));
    $("merge-next").addEventListener("click", turn(1));
    showMerges();
  }
})();
