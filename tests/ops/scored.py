"""Filters by scores that a user wrote, and rows for them."""

from mergeit_ops.core.columns import STATS
from mergeit_ops.ops import SampleScoreFilter

LENGTH = "by_length_score"


def by_length(**parameters) -> SampleScoreFilter:
    return SampleScoreFilter(**({"scorer": "tests.user_scorers:ByLength"} | parameters))


def rows(*outputs: str) -> list[dict]:
    return [{"instruction": f"say {number}", "input": "", "output": text} for number, text in enumerate(outputs)]


def outputs(dataset) -> list[str]:
    return [row["output"] for row in dataset]


def chosen_ids(selected) -> list[str]:
    return [key for row in selected for key in (row["id"] if isinstance(row["id"], list) else [row["id"]])]


def score_of(scored_rows) -> dict:
    return {row["id"]: row[STATS]["quality_score"] for row in scored_rows}
