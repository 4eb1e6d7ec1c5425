"""Which rows, samples or topics, each operator of a recipe gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from data_juicer.ops.base_op import Aggregator, Deduplicator, Filter, Grouper, Mapper

from mergeit_ops.dataset.key_reading import keys_read
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.errors import RecipeError

RowKind = Literal["samples", "topics", "either"]
"""What rows an operator takes or gives: flat samples, topics (each column a list), or what it takes."""

_FLATTEN = "llm_pair_merger_mapper, topic_reverse_grouper or Data-Juicer's naive_reverse_grouper"


@dataclass(frozen=True)
class Rows:
    """The rows at some place of a recipe.

    :param kind: what they are; `either` where that is not known.
    :param giver: the operator that has made them topics or samples; empty where none has.
    """

    kind: RowKind = "either"
    giver: str = ""


def check_rows(recipe: Recipe) -> list[str]:
    """Follow the rows through a recipe.

    :param recipe: the recipe.
    :return: warnings, each a sentence on an operator that works on topics as if they were samples.
    :raises RecipeError: if an operator gets rows that it cannot work on, or the recipe ends in topics.
    """
    rows = Rows()
    warnings: list[str] = []
    for step in recipe.steps:
        takes, gives = _declared(step)
        if rows.kind == "topics" and takes == "samples":
            raise RecipeError(_on_topics(step, rows))
        if rows.kind == "samples" and takes == "topics":
            raise RecipeError(
                f"{step.name}: the rows are flat samples, but this operator works on topics; put topic_cluster_grouper "
                "before it. No call was made."
            )
        if rows.kind == "topics" and _is_flat(step):
            warnings.append(
                f"{step.name} stands between {rows.giver} and the operator that flattens the topics: each row that it "
                "gets is a topic, and each column of it the list of its samples' values. If it is meant for samples, "
                f"put it before {rows.giver}."
            )
        if gives != "either":
            rows = Rows(gives, step.name)
        elif step.operator is None:
            rows = Rows()
    if rows.kind == "topics":
        raise RecipeError(
            f"{rows.giver}: the recipe ends while the rows are still topics, so the export would hold lists and "
            f"embeddings instead of samples; put {_FLATTEN} after it."
        )
    return warnings


def _declared(step: Step) -> tuple[RowKind, RowKind]:
    """Return what rows an operator takes and gives: what ours declare, and what those of Data-Juicer are known by."""
    operator = step.operator
    if operator is None:
        return "either", "either"
    if step.is_ours:
        return operator.takes, operator.gives  # type: ignore[attr-defined]
    if issubclass(operator, Grouper):
        # A grouper of Data-Juicer that flattens has it in its name.
        return ("topics", "samples") if "reverse" in step.name else ("samples", "topics")
    if issubclass(operator, Aggregator):
        return "topics", "either"
    if _is_flat(step) and keys_read(operator):
        return "samples", "either"
    return "either", "either"


def _is_flat(step: Step) -> bool:
    operator = step.operator
    return operator is not None and not step.is_ours and issubclass(operator, (Mapper, Filter, Deduplicator))


def _on_topics(step: Step, rows: Rows) -> str:
    if step.is_ours:
        return f"{step.name}: the rows are topics of {rows.giver}; put {_FLATTEN} between them."
    return (
        f"{step.name} reads a column of samples, but stands where the rows are topics of {rows.giver}: there each "
        "column is the list of a topic's values, on which it fails or drops the whole topic. Put it before "
        f"{rows.giver}, or after the operator that flattens the topics."
    )
