"""The page: headline, table and plots tell the same; in a headless Chromium it draws all plots and fits its window."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape

import pytest

from mergeit_ops.compare.measures import MEASURES
from mergeit_ops.compare.page import page, verdicts
from tests.compare.test_measuring import compared
from tests.report.test_in_a_browser import CHROMIUM, FLAGS

MADE_WITH = {"embedding_model": None, "scorer": None}

VISIT = """
const seen = {errors: []};
window.addEventListener("error", (event) => seen.errors.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => seen.errors.push(event.blockedURI));
(async () => {
  window.dispatchEvent(new Event("beforeprint"));
  await new Promise((done) => setTimeout(done, 500));
  const plots = [...document.querySelectorAll(".plot")];
  seen.plots = plots.map((node) => node.id);
  seen.undrawn = plots.filter((node) => !node.querySelector(".main-svg")).map((node) => node.id);
  seen.dots = document.querySelectorAll("#dots-coverage .point").length;
  seen.sideways = document.documentElement.scrollWidth - window.innerWidth;
  document.body.append(Object.assign(document.createElement("pre"), {id: "seen", textContent: JSON.stringify(seen)}));
})();
"""


def shown(html, title):
    """The first cell of each line of a table, and the figures behind it."""
    table = re.search(rf'aria-label="{title}">(.*?)</table>', html, re.DOTALL)[1]
    return {
        re.sub("<.*", "", head).strip(): re.findall(r"<td[^>]*>([^<]+)", cells)
        for head, cells in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', table, re.DOTALL)
    }


def test_headline_table_and_plots_are_of_as_many_rows():
    # A has more rows, and so more coverage; row by row, B covers better.
    found = compared([*range(60), *[300] * 240], range(0, 400, 4))
    assert found.files[0].values["vendi"].estimate != found.files[0].equal_values["vendi"].estimate
    html = page(found, MADE_WITH)
    head = html.split("</header>")[0]
    assert "With 100 rows of each:" in head
    assert re.search(r"Reference.*pool.jsonl.*Embeddings by.*Compared on</dt><dd>20\d\d-", head, re.DOTALL)
    own, whole = shown(html, "Figures"), shown(html, "With all rows of each")
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.DOTALL)[1])["measures"]
    (told,) = verdicts(found)
    assert told.better
    for measure in MEASURES:
        fair = [found.fair_values(file)[measure.key].estimate for file in found.files if measure.key in file.values]
        if not fair:
            continue
        assert own[measure.name] == [measure.shown(value) for value in fair]
        if measure.key in data:
            assert data[measure.key]["values"] == pytest.approx(
                [value * (100 if measure.share else 1) for value in fair]
            )
        for words, sign in ((told.better, 1), (told.worse, -1)):
            if any(text.startswith(f"{measure.name} (") for text in words):
                assert (fair[1] > fair[0]) == ((measure.better == "higher") == (sign == 1))
    assert set(whole) == {measure.name for measure in MEASURES if measure.grows}
    assert whole["coverage"] == [f"{file.values['coverage'].estimate:.4f}" for file in found.files]


def test_files_of_one_size_have_one_table():
    html = page(compared(range(30), range(20, 50)), MADE_WITH)
    assert "With all rows of each" not in html
    assert "rows of each:" not in html


def test_conversations_are_called_so():
    found = compared(range(30), range(20, 50))
    assert "conversations" not in page(found, MADE_WITH)
    found.files[1].unit = "conversations"
    assert '30 <span class="soft">conversations</span>' in page(found, MADE_WITH)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to open the page with")
@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("files", [2, 8])
def test_the_page_draws_and_fits(tmp_path, width, files):
    sets = [range(20 * number, 20 * number + 30 + number) for number in range(files)]
    scores = [{row: 2 + (row + number) % 3 / 2 for row in range(20)} for number in range(files)]
    html = page(compared(*sets, scores=scores), {"embedding_model": None, "scorer": "distilled"})
    visit = tmp_path / "visit.html"
    visit.write_text(html.replace("</body>", f"<script>{VISIT}</script></body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'user'}", f"--window-size={width},900", "--dump-dom"]
    run = subprocess.run([*command, visit.as_uri()], capture_output=True, text=True, timeout=180, check=True)
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', run.stdout, re.DOTALL)[1]))
    assert seen["errors"] == []
    # With as many rows of each, redundancy has no interval to draw.
    assert len(seen["plots"]) == 6
    assert seen["undrawn"] == []
    assert seen["dots"] == files
    assert seen["sideways"] <= 0
