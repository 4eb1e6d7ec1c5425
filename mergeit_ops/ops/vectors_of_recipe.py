"""Make an operator that embeds texts agree with the earlier operator that made the vectors of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from mergeit_ops.core.text.characters import printable
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, DEFAULT_EMBEDDING_WINDOW, STATIC
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import RecipeError

__all__ = ["EMBEDDING_CHOICES", "choices_of_maker"]

EMBEDDING_CHOICES: Mapping[str, str] = {
    "embedding_model": DEFAULT_EMBEDDING_MODEL,
    "embedding_window": DEFAULT_EMBEDDING_WINDOW,
    "embedding_text": "user",
}
"""Parameters that determine the vector of a row, and their defaults."""


class _Embeds(Protocol):
    _name: str
    beside_static: ClassVar[Literal["follows", "finds", "refuses"]]

    @property
    def parameters(self) -> Mapping[str, Any]: ...


def choices_of_maker(operator: _Embeds, recipe: Recipe, place: int) -> dict[str, Any]:
    """Return the parameters that made the vectors of the rows; the operator's own if the rows have no vectors.

    A parameter that the operator leaves at its default follows the maker of the vectors.

    :param operator: operator that embeds texts and compares them with these vectors.
    :param recipe: the recipe.
    :param place: position of the operator in it, from 0.
    :raises RecipeError: if the operator and the maker name different values.
    """
    own = {name: operator.parameters.get(name, default) for name, default in EMBEDDING_CHOICES.items()}
    maker = _maker(recipe.steps[:place])
    if maker is None:
        return own
    for name, default in EMBEDDING_CHOICES.items():
        made_with = maker.parameters.get(name) or default
        if own[name] == made_with or (made_with == STATIC and is_fitted(own[name])):
            continue
        if made_with == STATIC and own[name] == default:
            own[name] = _beside_static(operator, maker, default)
            continue
        if own[name] != default:
            raise RecipeError(
                f"{operator._name}: {name} is {printable(repr(own[name]))}, but {maker.name} makes the vectors of the "
                f"rows with {printable(repr(made_with))}; give both operators the same {name}, or leave it out here."
            )
        own[name] = made_with
    return own


def _beside_static(operator: _Embeds, maker: Step, default: str) -> str:
    """Return the model of an operator that names none, if the vectors of the rows come from `static`."""
    if operator.beside_static == "refuses":
        raise RecipeError(
            f"{operator._name}: {maker.name} makes the vectors of the rows with embedding_model static, and this "
            "operator cannot embed other texts with it; have the vectors removed before it (keep_embeddings: "
            "false), or put it before the operator that makes them."
        )
    return STATIC if operator.beside_static == "follows" else default


def _maker(steps: tuple[Step, ...]) -> Step | None:
    """Return the operator whose vectors the rows still have; None if they have none."""
    maker: Step | None = None
    topics = False
    for step in steps:
        operator: Any = step.operator
        if not step.is_ours:
            continue
        topics = operator.gives == "topics" or (topics and operator.gives == "either")
        if maker is None and operator.makes_vectors:
            maker = step
        elif not topics and "keep_embeddings" in operator._constraints and not step.parameters.get("keep_embeddings"):
            maker = None
    return maker
