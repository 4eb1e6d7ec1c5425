(() => {
  const { $, fixed, many, colour, escaped, narrow, element, wrapped, touch, plots, plot, base } = page;
  const { lines, map } = page.data.topics;
  const topicName = (topic) => topic.label || `topic ${topic.id}`;

  let highlighted = -1;
  const symbols = { merged: "diamond", restored: "circle-open", original: "circle" };
  const statusNames = { merged: "merge", restored: "restored", original: "never merged" };

  function mapTraces() {
    const hues = lines.map((topic) => colour(`c${topic.colour}`));
    const faded = colour("faded");
    const statuses = [...new Set(map.status)].sort();
    const shape = (status) => ({ symbol: symbols[status] ?? "circle", line: { width: status === "restored" ? 1 : 0 } });
    // The legend explains shapes only. In a topic's colour it would seem to explain colours too.
    const keys = statuses.map((status) => ({
      type: "scatter", mode: "markers", name: statusNames[status] ?? "row", x: [null], y: [null], legendgroup: status,
      hoverinfo: "skip", marker: { ...shape(status), size: 8, color: colour("soft") },
    }));
    return [...keys, ...statuses.map((status) => {
      // The highlighted topic is drawn last, so that it is on top.
      const rows = map.status.map((value, row) => row).filter((row) => map.status[row] === status);
      rows.sort((a, b) => (map.topic[a] === highlighted) - (map.topic[b] === highlighted));
      return {
        type: "scatter", mode: "markers", name: statusNames[status] ?? "row", legendgroup: status, showlegend: false,
        x: rows.map((row) => map.x[row]), y: rows.map((row) => map.y[row]), customdata: rows,
        text: rows.map((row) => {
          const topic = lines[map.topic[row]];
          return (topic ? `<b>${escaped(topicName(topic))}</b><br>` : "") + wrapped(map.text[row], 60);
        }),
        hoverinfo: "text",
        marker: {
          ...shape(status), opacity: 0.85,
          size: rows.map((row) => (status === "merged" ? 7 : 5) + (highlighted >= 0 && map.topic[row] === highlighted ? 2 : 0)),
          color: rows.map((row) => (highlighted >= 0 && map.topic[row] !== highlighted ? faded : hues[map.topic[row]] ?? colour("plain"))),
        },
      };
    })];
  }

  const span = (values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const edge = 0.05 * (high - low || 1);
    return [low - edge, high + edge];
  };
  const spans = map && { x: span(map.x), y: span(map.y) };
  const ABOVE = 32;

  // In pixels from the upper left, because the size of a label does not depend on the zoom.
  function pixels(x, y) {
    const { clientWidth: width, clientHeight: height } = $("map");
    const share = (value, [low, high]) => (value - low) / (high - low);
    return [share(x, spans.x) * width, ABOVE + (1 - share(y, spans.y)) * (height - ABOVE)];
  }

  // Positions for a label around the centre of its topic, nearest first.
  const offsets = [];
  for (let dx = -160; dx <= 160; dx += 16) for (let dy = -112; dy <= 112; dy += 8) offsets.push([dx, dy]);
  offsets.sort(([a, b], [c, d]) => a * a + 4 * b * b - c * c - 4 * d * d);

  function mapLabels() {
    const { clientWidth: width, clientHeight: height } = $("map");
    const points = map.x.map((x, row) => pixels(x, map.y[row]));
    const shown = highlighted >= 0 ? [highlighted] : lines.map((_, i) => i)
      .filter((i) => map.centres[i] && lines[i].label)
      .sort((a, b) => lines[b].rows - lines[a].rows);
    const placed = [];
    for (const i of shown) {
      const [x, y] = map.centres[i] ?? [];
      if (x === undefined) continue;
      const text = topicName(lines[i]).split(", ").slice(0, 2).join(", ");
      const [reachX, reachY] = [3.6 * text.length + 6, 10];
      const [left, top] = pixels(x, y);
      // A label must not cover a point or another label. If there is no free position, only the table has the name.
      const free = offsets.find(([dx, dy]) => {
        const [midX, midY] = [left + dx, top + dy];
        return midX > reachX && midX < width - reachX && midY > ABOVE + reachY && midY < height - reachY
          && !points.some(([px, py]) => Math.abs(px - midX) < reachX + 4 && Math.abs(py - midY) < reachY + 4)
          && !placed.some((other) => Math.abs(other.midX - midX) < reachX + other.reachX && Math.abs(other.midY - midY) < 2 * reachY);
      });
      if (!free) continue;
      const [ax, ay] = free;
      placed.push({ x, y, ax, ay, midX: left + ax, midY: top + ay, reachX, text });
      if (placed.length >= (narrow() ? 7 : 16)) break;
    }
    return placed.map(({ x, y, ax, ay, text }) => ({
      x, y, ax, ay, showarrow: true, arrowhead: 0, arrowwidth: 1, arrowcolor: `${colour("soft")}88`, text: escaped(text),
      font: { size: 12, color: colour("ink") }, borderpad: 0, captureevents: false,
    }));
  }

  const mapLayout = () => {
    // The axes of t-SNE have no unit, so each is scaled to fill the plot.
    const axis = (own) => ({ visible: false, fixedrange: touch, rangemode: "normal", range: [...own], automargin: false });
    return base({
      xaxis: axis(spans.x), yaxis: axis(spans.y), hovermode: "closest", dragmode: touch ? false : "zoom",
      margin: { l: 0, r: 0, t: ABOVE, b: 0 }, annotations: mapLabels(), showlegend: true,
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
      // Unknown values come last in both directions.
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
