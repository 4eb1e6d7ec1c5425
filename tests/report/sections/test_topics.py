"""Topics on a map and in a table: their rows add up, and neighbours differ in colour."""

from __future__ import annotations

import numpy as np

from mergeit_ops.core.columns import META
from mergeit_ops.report.sections.topics import COLOURS, build, map_colours
from tests.report.exports import original, surveyed, write_export


def test_the_topics_of_a_whole_run_add_up(whole_run):
    run = surveyed(whole_run[0])
    lines = build(run).data["lines"]
    assert sum(line["size"] for line in lines) == 120
    assert sum(line["rows"] for line in lines) == run.survey.rows
    assert sum(line["selected"] for line in lines) == run.survey.rows_entered
    assert sum(line["merged"] for line in lines) == run.survey.statuses["merged"]
    assert sum(line["restored"] for line in lines) == run.survey.statuses["restored"]
    assert all(line["label"] for line in lines)


def test_all_sampled_rows_are_on_the_map(whole_run):
    run = surveyed(whole_run[0], sample=500)
    section = build(run)
    drawn = section.data["map"]
    assert len(drawn["x"]) == len(drawn["y"]) == section.values["mapped"] == run.survey.rows
    lines = section.data["lines"]
    assert [drawn["topic"].count(number) for number in range(len(lines))] == [line["rows"] for line in lines]
    assert len(drawn["centres"]) == len(lines)
    assert {line["colour"] for line in lines} == set(range(min(COLOURS, len(lines))))


def test_without_a_sample_there_is_a_table_and_no_map(tmp_path):
    section = build(surveyed(write_export(tmp_path / "e.jsonl", [original(3, "x"), original(1, "y")])))
    assert section.data["map"] is None
    assert [(line["id"], line["rows"], line["size"]) for line in section.data["lines"]] == [(1, 1, None), (3, 1, None)]


def test_rows_without_topic_have_no_section(tmp_path):
    row = original(0, "x")
    row[META] = {"row_id": "x"}
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [row]))) is None


def test_topics_near_each_other_differ_in_colour():
    rng = np.random.default_rng(0)
    centres = rng.uniform(-1, 1, (40, 2))
    topics = np.repeat(np.arange(40), 20).tolist()
    places = (centres[topics] + rng.normal(scale=0.01, size=(800, 2))).astype(np.float32)
    colours = map_colours(places, topics)
    assert set(colours) == set(range(40))
    assert set(colours.values()) == set(range(COLOURS))
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2) + 9 * np.eye(40)
    alike = sum(colours[i] == colours[int(distances[i].argmin())] for i in range(40))
    assert alike == 0
