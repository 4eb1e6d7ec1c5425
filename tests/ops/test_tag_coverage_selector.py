"""Selection by tags: golden rows, scores, the graph of tags, topics, and that no row is embedded."""

import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.selection import TAG_METHODS
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.ops import TagCoverageSelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset

T6 = ["123", "12", "4", "34", "5", "1"]
Q6 = [6, 8, 4, 4, 4, 5]
NAMES = {"1": "poetry", "2": "rhyme", "3": "physics", "4": "email writing", "5": "writing emails"}


RELEASED = {"method": "information_gain", "gain": "gradient"}


def rows(tags=T6, scores=Q6):
    return [
        {"id": number, "instruction": f"row {number}", "output": "x", "tags": [NAMES[tag] for tag in own], "q": score}
        for number, (own, score) in enumerate(zip(tags, scores, strict=True))
    ]


def kept(given, **parameters):
    return TagCoverageSelector(**parameters).run(make_dataset(given))["id"][:]


@pytest.mark.parametrize(
    ("number", "parameters", "expected"),
    [
        (3, {}, [0, 3, 4]),
        (4, {}, [0, 1, 3, 4]),
        (3, {"method": "information_gain", "edge_similarity": None}, [0, 1, 3]),
        (3, {**RELEASED, "edge_similarity": None}, [0, 3, 4]),
        # The tags of rows 3 and 4 are alike, so that row 4 has little to add.
        (3, RELEASED, [0, 1, 3]),
        (3, {**RELEASED, "propagation": 0}, [0, 3, 4]),
        (3, {**RELEASED, "edge_similarity": None, "normalize_by_tags": True}, [1, 2, 4]),
    ],
    ids=str,
)
def test_golden_rows(number, parameters, expected):
    scores = {"score_key": "q", "score_scale": "raw"} if parameters else {}
    assert kept(rows(), select_num=number, **scores, **parameters) == sorted(expected)


def test_no_row_is_embedded(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a row was embedded")

    monkeypatch.setattr(SampleReader, "dataset_vectors", refuse)
    monkeypatch.setattr(SampleReader, "vectors", refuse)
    assert kept(rows(), select_num=3) == [0, 3, 4]
    assert len(kept(rows(), select_num=3, method="information_gain")) == 3


def test_rows_without_tags_are_kept_last():
    given = [*rows(["", *T6[:5]], Q6), rows()[0] | {"id": 6, "tags": None}]
    for method in TAG_METHODS:
        assert kept(given, method=method, select_num=5) == [1, 2, 3, 4, 5]
        assert kept(given, method=method, select_num=6) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("method", list(TAG_METHODS))
def test_within_topics_each_topic_keeps_its_share(method, embedded_rows):
    given = [row | {"tags": row["instruction"].lower().split()[:3]} for row in embedded_rows]
    topics = TopicClusterGrouper(num_clusters=3).run(make_dataset(given))
    selected = TagCoverageSelector(method, num_per_topic=4).run(topics)
    assert [len(ids) for ids in selected["id"]] == [4, 4, 4]
    assert EMBEDDING in selected.column_names
    flat = make_dataset([row for row in given if row["id"] in set(topics["id"][0])])
    if method == "complexity_first":
        assert TagCoverageSelector(select_num=4).run(flat)["id"][:] == selected["id"][0]


def test_a_budget_of_tokens_is_kept():
    given = [row | {"output": "x" * 4 * (number + 1)} for number, row in enumerate(rows())]
    # In the order of the method: row 0 with 1 token, row 3 with 4; row 4 with 5 no longer fits, row 1 with 2 does.
    assert kept(given, select_tokens=9) == [0, 1, 3]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"gain": "gradient"}, "the method 'complexity_first' does not read gain, which belongs to information_gain"),
        ({"select_num": 1, "select_ratio": 0.5}, "at most one of"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, said):
    with pytest.raises(RecipeError, match=f"tag_coverage_selector: {said}"):
        TagCoverageSelector(**parameters)


def test_a_missing_column_of_tags_is_named():
    with pytest.raises(DatasetError, match="tag_coverage_selector: there is no column 'labels' for the tags_key"):
        kept(rows(), tags_key="labels")
