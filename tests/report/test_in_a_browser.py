"""The page in a real, headless Chromium: it draws, sorts, searches, and moves its slider."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

from mergeit_ops.cli import main
from tests.report.exports import content, merged, original, restored, write_export

pytestmark = pytest.mark.slow

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=20000",
)
HOSTILE = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>\u202e\u2028&lt;"

# What a user does, and what the page then shows.
VISIT = """
const seen = {errors: []};
window.addEventListener("error", (event) => seen.errors.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => seen.errors.push(event.blockedURI));
const act = (id, value, kind) => { $(id).value = value; $(id).dispatchEvent(new Event(kind)); };
const $ = (id) => document.getElementById(id);
const cards = () => [...document.querySelectorAll("#merge-list .asked")].map((node) => node.textContent);
const later = (ms) => new Promise((done) => setTimeout(done, ms));
const first = () => document.querySelector("#topic-table tbody td:first-child bdi").textContent;
(async () => {
  window.dispatchEvent(new Event("beforeprint"));
  seen.plots = document.querySelectorAll(".plot .main-svg").length > 0;
  const empty = (node) => !node.querySelector(".main-svg");
  seen.undrawn = [...document.querySelectorAll(".plot")].filter(empty).map((node) => node.id);
  await later(1000);
  const boxes = (selector) => [...document.querySelectorAll(selector)].map((node) => node.getBoundingClientRect());
  const labels = boxes("#map .annotation-text");
  seen.labels = labels.length;
  seen.hidden = boxes("#map .point").filter((point) => labels.some((label) => label.left < point.right
    && point.left < label.right && label.top < point.bottom && point.top < label.bottom)).length;
  seen.legend = [...document.querySelectorAll("#map .legendtext")].map((node) => node.textContent);
  const rules = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules]);
  const printed = rules.find((rule) => rule.media?.mediaText === "print");
  const scroll = [...printed.cssRules].find((rule) => rule.selectorText?.startsWith(".scroll")).style;
  seen.printed = [scroll.maxHeight, scroll.overflow];
  window.dispatchEvent(new Event("afterprint")); await later(500);
  seen.sideways_tables = document.querySelectorAll(".scroll.sideways").length;
  seen.worst = cards();
  act("merge-order", "best", "change");
  seen.best = cards();
  act("merge-search", "ZEBRA", "input"); await later(300);
  seen.searched = cards();
  act("merge-search", "", "input"); await later(300);
  act("merge-state", "-", "change");
  seen.apart = cards();
  act("merge-state", "", "change");
  act("merge-topic", "1", "change");
  seen.ofTopic = cards().length;
  const heads = [...document.querySelectorAll("#topic-table thead button")];
  const selected = heads.find((button) => button.textContent === "Selected");
  selected.click(); seen.most = first(); selected.click(); seen.least = first();
  act("gamma-slider", $("gamma-slider").max, "input");
  seen.none = $("gamma-passing").textContent;
  act("gamma-slider", "0", "input");
  seen.all = $("gamma-passing").textContent;
  seen.pwned = window.pwned ?? 0;
  seen.sideways = document.documentElement.scrollWidth - window.innerWidth;
  document.body.append(Object.assign(document.createElement("pre"), {id: "seen", textContent: JSON.stringify(seen)}));
})();
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    rows = [
        *(original(0, f"x{i}", content(f"Sing of volcano number {i}.")) for i in range(5)),
        merged(0, "a", 2.0, 3.0, text=content("Merge a.", HOSTILE)),
        merged(1, "b", 2.0, 5.0, text=content("Merge b.", "A zebra. " * 2_000)),
        *restored(1, "c", 2.0, 1.0, text=content("Merge c.")),
        original(1, "y", content(HOSTILE, HOSTILE)),
    ]
    export = write_export(folder / "export.jsonl", rows)
    assert main(["report", str(export), "--output", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to open the page with")
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_does_what_it_promises(page, tmp_path, width):
    html = page.read_text(encoding="utf-8")
    (tmp_path / "visit.html").write_text(html.replace("</body>", f"<script>{VISIT}</script></body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'user'}", f"--window-size={width},900", "--dump-dom"]
    run = subprocess.run(
        [*command, (tmp_path / "visit.html").as_uri()], capture_output=True, text=True, timeout=180, check=True
    )
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', run.stdout, re.DOTALL)[1]))
    assert seen["errors"] == []
    assert seen["plots"]
    assert seen["undrawn"] == []
    assert seen["labels"] == 2
    assert seen["hidden"] == 0
    assert seen["legend"] == ["merge", "never merged", "restored"]
    # A table that is cut off says so, and is not cut off on paper.
    assert seen["sideways_tables"] == (0 if width == 1280 else seen["sideways_tables"])
    assert seen["sideways_tables"] > 0 or width == 1280
    assert seen["printed"] == ["none", "visible"]
    assert "The colour shows the topic" in html
    assert seen["worst"] == ["Merge c.", "Merge a.", "Merge b."]
    assert seen["best"] == ["Merge b.", "Merge a.", "Merge c."]
    assert seen["searched"] == ["Merge b."]
    assert seen["apart"] == ["Merge c."]
    assert seen["ofTopic"] == 2
    assert "volcano" in seen["most"]
    assert "volcano" not in seen["least"]
    assert (seen["none"], seen["all"]) == ("0", "3")
    assert seen["pwned"] == 0
    assert seen["sideways"] <= 0
