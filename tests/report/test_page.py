"""The page: stands alone, shows odd exports, and lets no text of a row act."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from mergeit_ops.cli import main
from mergeit_ops.core.columns import META
from tests.report.exports import content, merged, original, restored, write_export, write_records

HOSTILE = [
    "</script><script>document.title = 'pwned'</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- <script>",
    "&lt;b&gt; & \u2028 \u2029 \x00 \ufeff",
    "\ud800 half, \udfff half",
    "user\u202etxt.exe \u2066 \u2069",
    "{{ 7 * 7 }} {% raw %} ${1}",
    "'\"`",
]


class Resources(HTMLParser):
    """Everything in a page that a browser may fetch, and the tags there are."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.styles = ""
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._in_style = tag == "style"
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "action", "background", "xlink:href") or (
                name == "href" and not (value or "").startswith("#")
            ):
                self.fetched.append(f"{tag} {name}={value}")
            if name.startswith("on") and value != "return false":
                self.handlers.append(f"{tag} {name}={value}")
            if name == "style":
                self.styles += value or ""

    def handle_data(self, data):
        if self._in_style:
            self.styles += data

    def handle_endtag(self, tag):
        self._in_style = False


def report(tmp_path, rows, *options):
    export = write_export(tmp_path / "export.jsonl", rows)
    output = tmp_path / "report.html"
    assert main(["report", str(export), "--output", str(output), "--sample", "0", *options]) == 0
    return output.read_text(encoding="utf-8")


def data_of(html):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def assert_stands_alone(html):
    found = Resources(html)
    assert found.fetched == []
    assert found.handlers == []
    assert not re.search(r"url\(|@import|expression\(", found.styles)
    assert {"link", "iframe", "img", "object", "embed", "base", "video", "audio"} & set(found.tags) == set()
    assert "default-src 'none'" in html


def test_the_page_stands_alone(tmp_path):
    html = report(tmp_path, [original(0, "x"), merged(0, "a"), *restored(1, "b")])
    assert_stands_alone(html)
    assert html.count("<script") - html.count('"<script') >= 4
    assert "<strong>5</strong> rows in, <strong>4</strong> out." in html
    assert "2 merges were made" in html
    assert "1 passed the gate" in html


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_rows_do_nothing(tmp_path, text):
    clean = Resources(report(tmp_path / "clean", [original(0, "x"), merged(0, "a"), *restored(0, "b")]))
    rows = [
        original(0, "x", content(text, text), group_id="g", error=text),
        merged(0, "a", text=content(text, text, text), parents=[content(text, text)] * 2, model=text),
        *restored(0, "b", text=content(text, text), parents=[content(text), content(text)], rejected=text),
    ]
    html = report(tmp_path / "hostile", rows)
    assert_stands_alone(html)
    assert Resources(html).tags.count("script") == clean.tags.count("script")
    assert set(Resources(html).tags) == set(clean.tags) | ({"h3"} & set(Resources(html).tags))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\ufeff\x00\ud800-\udfff]", html.split("<script>")[0])
    shown = data_of(html)["merges"]["items"]
    assert len(shown) == 2
    if text.isascii():
        assert [item[10][0] for item in shown] == [text, text]


def test_hostile_file_names_and_records_are_only_text(tmp_path):
    export = write_export(tmp_path / "<b>x<script>.jsonl", [merged(0, "a")])
    write_records(tmp_path / "<i>", {"operator": "<u>", "figures": {"seconds": 1, "failed": {"<s>": 3}}})
    assert main(["report", str(export), "--output", str(tmp_path / "r.html"), "--sample", "0"]) == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert_stands_alone(html)
    assert {"b", "i", "u", "s"} & set(Resources(html).tags) == set()
    assert "&lt;s&gt;" in html


def test_an_answer_of_100_kb_is_cut(tmp_path):
    html = report(tmp_path, [merged(0, "a", text=content("Ask.", "z" * 100_000))])
    (item,) = data_of(html)["merges"]["items"]
    assert (len(item[10][2]), item[10][5]) == (3_000, 97_000)
    assert "z" * 3_001 not in html


ABOUT_MERGES = ("topics", "quality", "similarity", "gamma", "reasons", "merges")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([original(0, "x")], ["topics"]),
        ([merged(0, "a", None, None)], ["topics", "similarity", "merges"]),
        ([merged(0, "a")], ["topics", "quality", "similarity", "gamma", "merges"]),
        (restored(0, "b", None, None, rejected="no_score"), ["topics", "similarity", "reasons", "merges"]),
        ([original(0, "x", group_id="g", error="refused")], ["topics", "reasons"]),
        ([original(0, "x", {"messages": [{"role": "user", "content": "a"}]})], ["topics"]),
        (
            [original(0, "x", {"other": 1}), merged(0, "a", text={"other": 2})],
            ["topics", "quality", "similarity", "gamma"],
        ),
    ],
)
def test_odd_exports_have_a_page_of_what_is_known(tmp_path, rows, expected):
    html = report(tmp_path, rows)
    sections = re.findall(r'<section id="(\w+)"', html)
    assert [name for name in sections if name in ABOUT_MERGES] == expected
    assert sections[0] == "funnel"
    assert sections[-1] == "about"
    assert {"beside", "costs"} & set(sections) == set()
    links = re.findall(r'<a href="#(\w+)"', html.split("<nav")[1].split("</nav>")[0])
    assert links == sections


def test_rows_without_topic_have_a_page(tmp_path):
    row = original(0, "x")
    row[META] = {"row_id": "x"}
    assert '<section id="topics"' not in report(tmp_path, [row])


def test_numbers_that_are_none_have_a_page(tmp_path):
    nan, infinite = float("nan"), float("inf")
    rows = [
        merged(0, "a", 2.0, nan, similarity=nan),
        *restored(0, "b", nan, infinite),
        *restored(0, "c"),
        merged(0, "d", 2.0, infinite),
    ]
    data = data_of(report(tmp_path, rows))
    assert data["topics"]["lines"][0]["merged"] == 2
    assert data["gamma"]["decided"] == 2
    assert data["gamma"]["passing"][-1] == 0


def test_selections_of_flat_rows_have_a_page(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [content("One."), content("Two.")])
    figures = {"rows_in": 9, "rows_out": 2, "seconds": 0.5}
    write_records(tmp_path / "job", {"operator": "facility_location_selector", "figures": figures})
    assert main(["report", str(export), "--output", str(tmp_path / "r.html"), "--sample", "0"]) == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<strong>9</strong> rows in, <strong>2</strong> out." in html


def test_the_default_sample_draws_a_map_and_compares(tmp_path, sample_rows, capsys):
    rows = [original(i % 3, f"r{i}", row) for i, row in enumerate(sample_rows[:24])]
    export = write_export(tmp_path / "e.jsonl", [*rows, merged(0, "a")])
    assert main(["report", str(export), "--output", str(tmp_path / "new" / "r.html")]) == 0
    printed = capsys.readouterr().out
    assert "Embedding 27 texts" in printed
    assert "r.html: " in printed
    html = (tmp_path / "new" / "r.html").read_text(encoding="utf-8")
    assert_stands_alone(html)
    assert len(data_of(html)["topics"]["map"]["x"]) == 25
    assert '<section id="beside"' in html
