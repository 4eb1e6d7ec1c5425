"""The page in a real, headless Chromium: it draws all plots, asks nobody, and fits its window."""

from __future__ import annotations

import json
import re
import subprocess
from html import unescape

import pytest

from mergeit_ops.compare.page import page
from tests.compare.test_measuring import compared
from tests.report.test_in_a_browser import CHROMIUM, FLAGS

pytestmark = pytest.mark.slow

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
    assert len(seen["plots"]) == 7
    assert seen["undrawn"] == []
    assert seen["dots"] == files
    assert seen["sideways"] <= 0
