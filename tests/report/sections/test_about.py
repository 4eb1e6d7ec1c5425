"""What the page was made from."""

from __future__ import annotations

from mergeit_ops.report.sections.about import build
from tests.report.exports import content, merged, surveyed, write_export, write_records


def test_without_records_a_note_names_the_option_that_finds_them(tmp_path):
    run = surveyed(write_export(tmp_path / "e.jsonl", [merged(0, "a")]))
    values = build(run).values
    assert (values["export"], values["rows"], values["work_dir"], values["input"]) == ("e.jsonl", 1, None, None)
    assert any("--work-dir" in note for note in values["notes"])


def test_several_sources_are_one_input(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    sources = [write_export(tmp_path / name, [content(f"Ask {name}.")]) for name in ("a.jsonl", "b.jsonl")]
    run = surveyed(export, inputs=sources)
    assert build(run).values["input"] == "a.jsonl, b.jsonl"
    assert run.given.points.seen == 2


def test_work_dir_and_input_are_named_without_their_folders(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a")])
    write_records(tmp_path / "job", {"operator": "llm_pair_merger_mapper"})
    values = build(surveyed(export, inputs=[write_export(tmp_path / "in.jsonl", [content("Ask.")])])).values
    assert (values["work_dir"], values["input"], values["notes"]) == ("job", "in.jsonl", [])
