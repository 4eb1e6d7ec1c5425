"""Find whether each operator of a recipe gets samples or topics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mergeit_ops.dataset.key_reading import keys_read
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.errors import RecipeError

RowKind = Literal["samples", "topics", "either"]
"""The input or output rows of an operator: flat samples, topics (each column is a list), or the same as its input."""

_FLATTEN = "llm_pair_merger_mapper, topic_reverse_grouper or Data-Juicer's naive_reverse_grouper"


@dataclass(frozen=True)
class RowsHere:
    """The rows at one place in a recipe.

    :param kind: samples or topics; `either` if unknown.
    :param giver: operator that made them topics or samples; empty if there is none.
    """

    kind: RowKind = "either"
    giver: str = ""


def check_rows(recipe: Recipe) -> list[str]:
    """Follow the rows through a recipe.

    :param recipe: the recipe.
    :return: warnings, each a sentence about an operator that treats topics as samples.
    :raises RecipeError: if an operator gets rows that it cannot work on, or the recipe ends in topics.
    """
    rows = RowsHere()
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
                f"{step.name} is between {rows.giver} and the operator that flattens the topics. There each row is a "
                "topic, and each column is the list of its samples' values. If it is meant for samples, put it "
                f"before {rows.giver}."
            )
        if gives != "either":
            rows = RowsHere(gives, step.name)
        elif step.operator is None:
            rows = RowsHere()
    if rows.kind == "topics":
        raise RecipeError(
            f"{rows.giver}: the rows are still topics at the end of the recipe, so the export would hold lists and "
            f"embeddings instead of samples; put {_FLATTEN} after it."
        )
    return warnings


def _declared(step: Step) -> tuple[RowKind, RowKind]:
    """Return the input and output rows of an operator: ours declare them, Data-Juicer's are derived from the class."""
    from data_juicer.ops.base_op import Aggregator, Grouper

    operator = step.operator
    if operator is None:
        return "either", "either"
    if step.is_ours:
        return operator.takes, operator.gives  # type: ignore[attr-defined]
    if issubclass(operator, Grouper):
        # The name of a Data-Juicer grouper shows whether it flattens.
        return ("topics", "samples") if "reverse" in step.name else ("samples", "topics")
    if issubclass(operator, Aggregator):
        return "topics", "either"
    if _is_flat(step) and keys_read(operator):
        return "samples", "either"
    return "either", "either"


def _is_flat(step: Step) -> bool:
    from data_juicer.ops.base_op import Deduplicator, Filter, Mapper

    operator = step.operator
    return operator is not None and not step.is_ours and issubclass(operator, (Mapper, Filter, Deduplicator))


def _on_topics(step: Step, rows: RowsHere) -> str:
    if step.is_ours:
        either = "remove one of the two groupers, or " if _declared(step)[1] == "topics" else ""
        return f"{step.name}: the rows are topics from {rows.giver}; {either}put {_FLATTEN} between them."
    return (
        f"{step.name} reads a column of samples, but at its place the rows are topics from {rows.giver}. Each column "
        "is the list of a topic's values, so the operator would fail or drop the whole topic. Put it before "
        f"{rows.giver}, or after the operator that flattens the topics."
    )
