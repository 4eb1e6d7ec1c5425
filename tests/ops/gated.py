"""Rows as the merger leaves them, and a gate for them."""

from mergeit_ops.core.columns import META
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.ops import QualityGateFilter

LINEAGE = {
    "topic_id": 0,
    "row_id": "r",
    "row_order": 0,
    "merge_group_id": None,
    "merge_status": "original",
    "merge_parents": [],
    "merge_parent_ids": [],
    "merge_candidates": [],
    "merge_rejected": None,
    "merge_rejected_text": None,
    "merge_similarity": None,
    "merge_error": None,
    "merge_model": None,
    "merge_prompt_sha256": None,
}


def sample(name: str, output: str) -> dict:
    return {"instruction": name, "input": "", "output": output}


def original(name: str, output: str, order: int, topic: int = 0) -> dict:
    return sample(name, output) | {META: LINEAGE | {"row_id": name, "row_order": order, "topic_id": topic}}


def merged(output: str, parents: list[dict], candidates=(), topic: int = 0, instruction="a and b") -> dict:
    meta = LINEAGE | {
        "row_id": "merge",
        "row_order": parents[0][META]["row_order"],
        "topic_id": topic,
        "merge_status": "merged",
        "merge_group_id": "g",
        "merge_parents": [encode_row(parent) for parent in parents],
        "merge_parent_ids": [parent[META]["row_id"] for parent in parents],
        "merge_candidates": [encode_row(sample("c", text)) for text in candidates],
        "merge_similarity": 0.7,
        "merge_model": "m",
        "merge_prompt_sha256": "sha",
    }
    return sample(instruction, output) | {META: meta}


def gate(**parameters) -> QualityGateFilter:
    return QualityGateFilter(**({"scorer": "tests.user_scorers:ByFirstDigit"} | parameters))


A, B = original("a", "2 a", 1), original("b", "4 b", 3)
