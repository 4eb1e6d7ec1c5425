"""The verdict of an experiment about a set, in words: better, worse, or cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mergeit_ops.core.training_effect.crossed_mean import CrossedMean
from mergeit_ops.core.training_effect.held_out_losses import MEANS
from mergeit_ops.core.training_effect.token_worth import LEAST_WORTH, MOST_WORTH, TokenWorth

__all__ = ["Sight", "Verdict", "VerdictKind", "sight_of", "verdict_of", "worth_in_words"]

VerdictKind = Literal["better", "worse", "cannot_tell"]


@dataclass(frozen=True)
class Sight:
    """Whether an experiment detects its controls.

    :param swapped: whether random rows with half of their answers swapped are clearly worse than random rows.
    :param doubled: whether twice the random rows are clearly better than random rows.
    :param sentence: both results in words.
    """

    swapped: bool
    doubled: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """The verdict about a set.

    :param kind: `better` or `worse` than random rows of the same number of tokens, or `cannot_tell`.
    :param sentence: the verdict in words.
    """

    kind: VerdictKind
    sentence: str


def sight_of(swapped: Mapping[str, CrossedMean], doubled: Mapping[str, CrossedMean]) -> Sight:
    """Return whether an experiment detects its controls by both means.

    :param swapped: loss with half of the answers swapped minus loss with random rows, by the name of the mean.
    :param doubled: loss with twice the random rows minus loss with random rows, by the name of the mean.
    """
    sees_swapped = all(_clear(swapped[name], 1) for name in MEANS)
    sees_doubled = all(_clear(doubled[name], -1) for name in MEANS)
    seen = [
        f"{'detects' if sees else 'does not detect'} {what}"
        for sees, what in (
            (sees_swapped, "that half of the answers of its control are swapped"),
            (sees_doubled, "that twice the random rows are better"),
        )
    ]
    return Sight(sees_swapped, sees_doubled, f"The experiment {', and it '.join(seen)}.")


def verdict_of(differences: Mapping[str, CrossedMean], worth: Mapping[str, TokenWorth | None], sight: Sight) -> Verdict:
    """Return the verdict about a set.

    A set is better or worse only if both means agree. By one mean alone, a set can win only because its answers are
    long, or because they are short.

    :param differences: loss minus loss with random rows of the same number of tokens, by the name of the mean.
    :param worth: worth in tokens of random rows, by the name of the mean.
    :param sight: result of `sight_of`.
    """
    if any(mean.low is None for mean in differences.values()):
        return Verdict("cannot_tell", "Cannot tell: one draw does not show how much draws vary; use at least two.")
    if not sight.swapped:
        return Verdict(
            "cannot_tell",
            "Cannot tell: the experiment does not detect that half of the answers of its control are swapped. It needs "
            "more answer tokens, draws or held-out rows.",
        )
    per_token, per_row = (differences[name] for name in MEANS)
    if not (per_token.excludes_zero and per_row.excludes_zero):
        return Verdict("cannot_tell", _not_told(per_token, per_row) + _worth_beside(worth))
    if (per_token.estimate < 0) != (per_row.estimate < 0):
        return Verdict(
            "cannot_tell",
            f"Cannot tell: {_side(per_token)} per token and {_side(per_row)} per row than random rows. Sets whose "
            "answers are longer or shorter than those of the held-out rows often show this.",
        )
    kind: VerdictKind = "better" if per_row.estimate < 0 else "worse"
    told = f"{kind.capitalize()} than random rows of as many tokens"
    known = {name: found for name, found in worth.items() if found is not None}
    if len(known) < len(MEANS):
        return Verdict(kind, f"{told}. Its worth is unknown, because twice the random rows are not clearly better.")
    return Verdict(kind, f"{told}: worth {_both(known)}.")


def worth_in_words(worth: TokenWorth) -> str:
    """Return the worth of a set as a number with its interval."""
    low = f"less than {LEAST_WORTH:g}" if worth.low is None else f"{worth.low:.2f}"
    high = f"more than {MOST_WORTH:g}" if worth.high is None else f"{worth.high:.2f}"
    if worth.estimate is not None:
        return f"{worth.estimate:.2f} ({low} to {high}) times"
    if worth.high is None and worth.low is not None:
        return f"more than {worth.low:.2g} times"
    if worth.low is None and worth.high is not None:
        return f"less than {worth.high:.2g} times"
    return f"an unknown number of ({low} to {high}) times"


def _both(known: Mapping[str, TokenWorth]) -> str:
    per_token, per_row = (worth_in_words(known[name]) for name in MEANS)
    return f"{per_token} its tokens of random rows by the loss per token, {per_row} by the loss per row"


def _not_told(per_token: CrossedMean, per_row: CrossedMean) -> str:
    clear = [(mean, name) for mean, name in ((per_token, "token"), (per_row, "row")) if mean.excludes_zero]
    if not clear:
        return "Cannot tell from random rows of as many tokens."
    ((mean, name),) = clear
    return (
        f"Cannot tell from random rows of as many tokens: {_side(mean)} per {name}, but the other mean shows no clear "
        "difference."
    )


def _worth_beside(worth: Mapping[str, TokenWorth | None]) -> str:
    known = {name: found for name, found in worth.items() if found is not None}
    return f" It may be worth {_both(known)}." if len(known) == len(MEANS) else ""


def _side(mean: CrossedMean) -> str:
    return "better" if mean.estimate < 0 else "worse"


def _clear(mean: CrossedMean, sign: int) -> bool:
    return mean.excludes_zero and mean.estimate * sign > 0
