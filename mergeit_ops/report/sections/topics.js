(() => {
  const { $, fixed, many, colour, escaped, narrow, element, wrapped, touch, plots, plot, base } = page;
  const { lines, map } = page.data.topics;
  const topicName = (topic) => topic.label || `topic ${topic.id}`;

  let highlighted = -1;
  const symbols = { merged: "diamond", restored: "circle-open", original: "circle" };
  const statusNames = { merged: "merge", restored: "given back", original: "never merged" };

  function mapTraces() {
    const hues = lines.map((topic) => colour(`c${topic.colour}`));
    const faded = colour("faded");
    return [...new Set(map.status)].sort().map((status) => {
      // What is highlighted is drawn last, above the rest.
      const rows = map.status.map((value, row) => row).filter((row) => map.status[row] === status);
      rows.sort((a, b) => (map.topic[a] === highlighted) - (map.topic[b] === highlighted));
      return {
        type: "scatter", mode: "markers", name: statusNames[status] ?? "row",
        x: rows.map((row) => map.x[row]), y: rows.map((row) => map.y[row]), customdata: rows,
        text: rows.map((row) => {
          const topic = lines[map.topic[row]];
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
    const shown = highlighted >= 0 ? [highlighted] : lines.map((_, i) => i)
      .filter((i) => map.centres[i] && lines[i].label)
      .sort((a, b) => lines[b].rows - lines[a].rows);
    const placed = [];
    for (const i of shown) {
      const [x, y] = map.centres[i] ?? [];
      if (x === undefined) continue;
      // Labels may not lie on each other.
      const reach = narrow() ? [0.75, 0.14] : [0.36, 0.11];
      if (placed.some((other) => Math.abs(other.x - x) < reach[0] && Math.abs(other.y - y) < reach[1])) continue;
      placed.push({ x, y, i });
      if (placed.length >= (narrow() ? 7 : 16)) break;
    }
    return placed.map(({ x, y, i }) => ({
      x, y, showarrow: false, text: escaped(topicName(lines[i]).split(", ").slice(0, 2).join(", ")),
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
    if (map) {
      if ($("map").dataset.drawn) plots.get($("map"))();
      $("map-state").textContent = highlighted >= 0 ? `Only “${topicName(lines[highlighted])}” is coloured.` : "";
      $("map-clear").hidden = highlighted < 0;
    }
    document.dispatchEvent(new CustomEvent("topic", { detail: highlighted >= 0 ? lines[highlighted].id : null }));
  }

  if (map) {
    plot("map", mapTraces, mapLayout, (place) => place.on("plotly_click", (event) => {
      const topic = map.topic[event.points[0].customdata];
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
  ].filter(([, value]) => lines.some((topic) => value(topic) !== null));
  let sortedBy = columns.findIndex(([name]) => name === "Out");
  let descending = true;

  function showTopics() {
    const wanted = $("topic-search").value.trim().toLowerCase();
    const [, value] = columns[sortedBy];
    const rows = lines.map((topic, i) => [topic, i]).filter(([topic]) => topicName(topic).toLowerCase().includes(wanted));
    rows.sort(([a, i], [b, j]) => {
      const [x, y] = [value(a), value(b)];
      // What is not known stands last, whatever the direction.
      if (x === null || y === null) return (x === null) - (y === null) || i - j;
      const order = typeof x === "string" ? x.localeCompare(y) : x - y;
      return (descending ? -order : order) || i - j;
    });
    $("topic-table").tBodies[0].replaceChildren(...rows.map(([topic, i]) => {
      const button = element("button", { type: "button", class: "topic", title: "Show this topic alone" },
        map ? element("span", { class: "swatch", "aria-hidden": "true", style: `background: var(--c${topic.colour})` }) : "",
        element("bdi", {}, topicName(topic)), element("span", { class: "soft" }, ` ${topic.id}`));
      button.addEventListener("click", () => highlight(i));
      return element("tr", { "data-topic": i, "aria-selected": String(i === highlighted) },
        element("td", {}, button),
        ...columns.slice(1).map(([, read, digits]) => element("td", {}, digits ? fixed(read(topic), digits) : many(read(topic)))));
    }));
    $("topic-count").textContent = `${many(rows.length)} of ${many(lines.length)} topics`;
    [...$("topic-table").tHead.rows[0].cells].forEach((cell, i) => {
      if (i === sortedBy) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }

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
})();
