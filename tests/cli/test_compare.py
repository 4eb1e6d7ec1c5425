"""`compare` as a user calls it: table, JSON and page; what is wrong is said in a sentence."""

from __future__ import annotations

import json
import re

import pytest

from mergeit_ops.cli import main
from tests.recipe_runs import write_jsonl
from tests.report.test_page import HOSTILE, Resources, assert_stands_alone, data_of

MEASURES = {"quality", "quality_spread", "coverage", "vendi", "distance", "novelsum", "redundancy"}
TOPICS = {"topics_reached", "effective_topics"}


@pytest.fixture
def files(tmp_path, embedded_rows):
    """Two files and what they come from; rows bring their embeddings, so no model is needed but for scores."""
    return (
        write_jsonl(tmp_path / "a.jsonl", embedded_rows[:60]),
        write_jsonl(tmp_path / "b.jsonl", embedded_rows[40:80]),
        write_jsonl(tmp_path / "all.jsonl", embedded_rows),
    )


def compare(capsys, *arguments, scorer="none"):
    code = main(["compare", *map(str, arguments), "--scorer", scorer])
    return code, capsys.readouterr()


def test_the_table_and_json_tell_the_same(files, capsys):
    first, second, reference = files
    options = (first, second, "--reference", reference, "--scored", 10)
    code, printed = compare(capsys, *options, "--json", scorer="distilled")
    assert code == 0
    told = json.loads(printed.out)
    assert set(told) == {
        "format_version",
        "embedding_model",
        "scorer",
        "confidence",
        "seed",
        "redundant_from",
        "reference",
        "equal_rows",
        "files",
    }
    assert told["embedding_model"] is None
    assert told["scorer"] == "distilled"
    assert told["equal_rows"] == 40
    assert set(told["reference"]) == {"path", "rows", "topics", "effective_topics"}
    assert (told["reference"]["rows"], told["reference"]["topics"]) == (120, 7)
    one, other = told["files"]
    assert set(one) == {
        "path",
        "rows",
        "unit",
        "left_out",
        "characters",
        "scored",
        "unscored",
        "measures",
        "difference_to_first",
        "at_equal_rows",
        "difference_to_first_at_equal_rows",
        "topic_sizes",
    }
    assert set(one["measures"]) == set(other["difference_to_first"]) == MEASURES | TOPICS
    assert set(one["at_equal_rows"]) == {"coverage", "vendi", "novelsum", "redundancy"} | TOPICS
    assert set(one["measures"]["coverage"]) == {"value", "low", "high"}
    assert (one["rows"], one["scored"], sum(one["topic_sizes"])) == (60, 10, 60)
    assert one["difference_to_first"] == {}

    code, printed = compare(capsys, *options, scorer="distilled")
    coverage = re.search(r"^coverage ↑ +(\S+) +(\S+)\n.*\n  all rows +(\S+) +(\S+)$", printed.out, re.MULTILINE)
    told_of = [file[which]["coverage"]["value"] for which in ("at_equal_rows", "measures") for file in (one, other)]
    assert [f"{value:.4f}" for value in told_of] == list(coverage.groups())


def test_without_reference_the_output_says_what_is_missing(files, capsys):
    code, printed = compare(capsys, *files[:2])
    assert code == 0
    assert "coverage ↑" not in printed.out
    assert printed.out.endswith("Without --reference there is no coverage, and there are no topics.\n")


def test_the_page_stands_alone(files, capsys, tmp_path):
    page = tmp_path / "deep" / "compare.html"
    code, _ = compare(capsys, *files[:2], "--reference", files[2], "--output", page)
    assert code == 0
    html = page.read_text(encoding="utf-8")
    assert_stands_alone(html)
    sections = re.findall(r'<section id="(\w+)"', html)
    assert sections == ["files", "figures", "differences", "intervals", "measures", "about"]
    assert re.findall(r'<a href="#(\w+)"', html.split("<nav")[1].split("</nav>")[0]) == sections
    assert set(data_of(html)["measures"]) == {"coverage", "vendi", "distance", "effective_topics"}
    assert "None of them is the score of a model on a benchmark" in html


@pytest.mark.parametrize("name", ["<b>x<script>.jsonl", "{{ 7 * 7 }}.jsonl", "a'\"`.jsonl"])
def test_hostile_names_are_only_text(files, capsys, tmp_path, embedded_rows, name):
    odd = write_jsonl(tmp_path / name, [row | {"output": HOSTILE[0]} for row in embedded_rows[:9]])
    page, plain = tmp_path / "page.html", tmp_path / "plain.html"
    assert compare(capsys, odd, files[0], "--output", page)[0] == 0
    assert compare(capsys, files[1], files[0], "--output", plain)[0] == 0
    html = page.read_text(encoding="utf-8")
    assert_stands_alone(html)
    assert set(Resources(html).tags) == set(Resources(plain.read_text(encoding="utf-8")).tags)
    assert data_of(html)["names"][0] == f"A  {name}"


def test_a_single_row_has_dashes_and_nulls(files, capsys, tmp_path, embedded_rows):
    one = write_jsonl(tmp_path / "one.jsonl", embedded_rows[:1])
    options = (one, files[0], "--reference", files[2])
    _, printed = compare(capsys, *options, "--output", tmp_path / "one.html")
    assert "*" not in printed.out.split("Difference to A")[1].split("\n", 1)[1]
    assert re.search(r"^mean distance ↑ +– ", printed.out, re.MULTILINE)
    assert data_of((tmp_path / "one.html").read_text(encoding="utf-8"))["measures"]["distance"]["values"][0] is None
    _, printed = compare(capsys, *options, "--json")
    distance = json.loads(printed.out, parse_constant=pytest.fail)["files"][0]["measures"]["distance"]
    assert distance == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("seed", ["4294967296", "5000000000", "-1"])
def test_a_seed_is_what_all_that_draws_can_take(files, capsys, seed):
    with pytest.raises(SystemExit):
        main(["compare", str(files[0]), f"--seed={seed}"])
    assert "argument --seed: must be a whole number" in capsys.readouterr().err


def test_one_file_has_figures_and_a_page(files, capsys, tmp_path):
    code, printed = compare(capsys, files[0], "--output", tmp_path / "one.html")
    assert code == 0
    assert "Difference" not in printed.out
    assert_stands_alone((tmp_path / "one.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.jsonl"], "There is no file or folder"),
        (["a.jsonl", "--reference", "none.jsonl"], "--reference: There is no file or folder"),
        (["a.jsonl", "--reference", "blank.jsonl"], "--reference: .*none of its 2 rows has both an instruction and"),
        (["empty.jsonl"], "has no rows"),
        (["other.jsonl"], "no sample format fits"),
        (["a.jsonl", "--sample-format", "messages"], "the column 'messages' of sample format 'messages' is missing"),
        (["a.jsonl", "--output", "a.jsonl"], "exists and is not an .html file"),
        (
            ["fresh.jsonl", "--embedding-model", "nowhere/none"],
            "The embedding model 'nowhere/none' could not be loaded",
        ),
        (["a.jsonl"] * 27, "at most 26 files, got 27"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(files, capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "blank.jsonl", [{"instruction": " ", "output": "x"}, {"instruction": "x", "output": None}])
    write_jsonl(tmp_path / "other.jsonl", [{"text": "x"}])
    write_jsonl(tmp_path / "fresh.jsonl", [{"instruction": "Say a.", "output": "A."}])
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    code, printed = compare(capsys, *arguments)
    assert code == 1
    assert re.search(sentence, printed.err.splitlines()[-1])
    assert printed.err.splitlines()[-1].startswith("error: ")
    assert printed.out == ""


def test_a_scorer_that_is_none_is_said_before_the_work(files, capsys):
    code, printed = compare(capsys, files[0], scorer="nobody")
    assert (code, printed.out) == (1, "")
    assert "scorer must be one of 'distilled'" in printed.err
    assert "Reading" not in printed.err
