"""Merges beside their parents, as the page's script gets them."""

from __future__ import annotations

from mergeit_ops.report.sections.merges import build
from tests.report.exports import content, merged, original, restored, surveyed, write_export


def test_long_texts_are_cut_and_the_cut_is_counted(tmp_path):
    row = merged(0, "a", text=content("Ask.", "z" * 100_000))
    run = surveyed(write_export(tmp_path / "e.jsonl", [row]))
    (item,) = build(run).data["items"]
    merge = item[10]
    assert len(merge[2]) == 3_000
    assert merge[3:] == [0, 0, 97_000]
    assert any("Texts longer than 3,000 characters are cut" in note for note in run.notes)


def test_only_topics_with_merges_are_named(tmp_path):
    rows = [original(0, "x"), merged(1, "a"), *restored(2, "b", rejected="coverage")]
    data = build(surveyed(write_export(tmp_path / "e.jsonl", rows))).data
    assert list(data["topics"]) == [1, 2]
    assert [item[1] for item in data["items"]] == [2, 1]
    assert data["reasons"] == {"coverage": "kept too little of a parent"}
    assert data["models"] == ["a-model"]


def test_without_merges_there_is_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")]))) is None


def test_the_sides_of_a_conversation_are_called_so(tmp_path):
    def chat(asked):
        return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "Yes."}]}

    row = merged(0, "a", text=chat("Both?"), parents=[chat("One?"), chat("Two?")])
    data = build(surveyed(write_export(tmp_path / "chats.jsonl", [row]))).data
    assert data["parts"] == ["User", "Input", "Assistant"]
    assert data["items"][0][10] == ["Both?", "", "Yes."]
    plain = build(surveyed(write_export(tmp_path / "rows.jsonl", [merged(0, "a")]))).data
    assert plain["parts"] == ["Instruction", "Input", "Output"]
