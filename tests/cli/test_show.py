"""`show`: what became of the rows of an export, and merges beside their parents."""

from __future__ import annotations

import json
import re

import pytest

from mergeit_ops import cli
from mergeit_ops.core.columns import META
from mergeit_ops.core.rows import rewrites
from mergeit_ops.core.rows.lossless import encode_row
from tests.planted_pairs import planted_rows
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("keep", [True, False])
def test_show_counts_and_shows_a_merge_beside_its_parents(tmp_path, embedded_rows, capsys, keep, suffix):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.4}},
    ]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    recipe = write_recipe(tmp_path, process, data, keep_stats_in_res_ds=keep)
    export = run_recipe(recipe, "--export_path", str(tmp_path / "out" / f"export.{suffix}"))
    capsys.readouterr()
    assert cli.main(["show", str(export)]) == 0
    printed = capsys.readouterr().out
    operators, _, rows = printed.partition("\n\n")
    assert [line.split()[0] for line in operators.splitlines()[1:]] == [next(iter(step)) for step in process]
    assert re.search(r"^topic_cluster_grouper +120 +[\d.]+  \d+ topics$", operators, re.MULTILINE)
    assert re.search(
        r"^llm_pair_merger_mapper +120 +\d+ +[\d.]+ +\d+ topics, \d+ pairs, \d+ merged$", operators, re.MULTILINE
    )
    assert re.match(r"\d+ rows: \d+ original, \d+ merged\n\nMERGED by concat, similarity 0\.\d\d\n", rows)
    assert "  from parent 2\n    id: s" in printed


def test_show_shows_a_conversation_as_who_says_what(tmp_path, capsys):
    def chat(question):
        return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": "So.\nThus."}]}

    meta = {"merge_status": "merged", "merge_model": "m", "merge_similarity": 0.5, "merge_parents": []}
    parents = [json.dumps(chat(question)) for question in ("Why?", "How?")]
    row = chat("Why, and how?") | {"history": [], META: meta | {"merge_parents": parents}}
    assert cli.main(["show", str(write_jsonl(tmp_path / "export.jsonl", [row]))]) == 0
    printed = capsys.readouterr().out
    assert "    conversations:\n    human: Why, and how?\n    gpt: So.\n    Thus.\n    history: []\n" in printed
    assert "  from parent 1\n    conversations:\n    human: Why?\n" in printed


def test_show_shows_a_rewritten_row_beside_what_it_was(tmp_path, capsys):
    old = {"instruction": "Name fruits.", "output": "Pear."}
    meta = rewrites.rewritten(
        {}, parent=encode_row(old), parent_id="a", method="tree", model="m", prompt_sha256="0", nodes_added=3
    )
    rows = [old | {META: rewrites.kept({}, "length")}]
    rows += [{"instruction": f"Name {number} fruits.", "output": "Plum.", META: meta} for number in "35"]
    export = write_jsonl(tmp_path / "export.jsonl", rows)
    assert cli.main(["show", str(export)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("3 rows: 3 not merged\n2 of them are rewritten\n\nREWRITTEN by m (tree)\n")
    assert "    instruction: Name 3 fruits.\n    output: Plum.\n  it was\n    instruction: Name fruits.\n" in printed
    assert "5 fruits" not in printed
    assert cli.main(["show", str(export), "--rewrites", "2"]) == 0
    assert "5 fruits" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["[1, 2]", "PAR1\x00", "{", '{"instruction": "no lineage"}'])
def test_show_says_in_a_sentence_when_a_file_is_no_export(tmp_path, capsys, content):
    (tmp_path / "export.json").write_text(content, encoding="utf-8")
    assert cli.main(["show", str(tmp_path / "export.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'export.json'}")


def test_show_says_when_there_is_no_such_file(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path / "none.jsonl")]) == 1
    assert capsys.readouterr().err.startswith("error: There is no file or folder")


@pytest.mark.parametrize(
    ("process", "summary", "head"),
    [
        (
            [
                {"topic_cluster_grouper": {"num_clusters": 3}},
                {"facility_location_selector": {"select_num": 9}},
                {"topic_reverse_grouper": {}},
            ],
            "9 rows: 9 original, chosen by facility_location_selector from 3 topics",
            "CHOSEN by facility_location_selector, topic 0",
        ),
        (
            [{"semantic_deduplicator": {}}, {"budget_selector": {"select_num": 7}}],
            "7 rows: 7 original, chosen by semantic_deduplicator and budget_selector",
            "CHOSEN by semantic_deduplicator and budget_selector",
        ),
    ],
)
def test_show_says_which_operators_chose_the_rows_where_nothing_is_merged(
    tmp_path, embedded_rows, capsys, process, summary, head
):
    export = run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows)))
    capsys.readouterr()
    assert cli.main(["show", str(export)]) == 0
    _, _, rows = capsys.readouterr().out.partition("\n\n")
    told = rows.splitlines()
    assert told[:3] == [summary, "", head]
    assert told[3] == f"    id: {json.loads(export.read_text().splitlines()[0])['id']}"
    assert cli.main(["show", str(export), "--chosen", "0"]) == 0
    assert "CHOSEN" not in capsys.readouterr().out


def test_show_names_one_pair_in_the_singular(tmp_path, capsys):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 1}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat"}},
    ]
    export = run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", planted_rows(1))))
    assert cli.main(["show", str(export)]) == 0
    assert "1 topic, 1 pair, 1 merged" in capsys.readouterr().out
