"""What an experiment says of a set, in words; `cannot_tell` is one of its answers."""

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
    """Whether an experiment sees what must be seen.

    :param swapped: whether rows with half their answers swapped are told from random rows.
    :param doubled: whether twice the random rows are told from random rows.
    :param sentence: both in words.
    """

    swapped: bool
    doubled: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What is said of a set.

    :param kind: `better` or `worse` than random rows of the same tokens, or `cannot_tell`.
    :param sentence: in words.
    """

    kind: VerdictKind
    sentence: str


def sight_of(swapped: Mapping[str, CrossedMean], doubled: Mapping[str, CrossedMean]) -> Sight:
    """Return whether an experiment sees its controls, by both means.

    :param swapped: the loss with half the answers swapped, less that with random rows, by the name of the mean.
    :param doubled: the loss with twice the random rows, less that with random rows.
    """
    sees_swapped = all(_clear(swapped[name], 1) for name in MEANS)
    sees_doubled = all(_clear(doubled[name], -1) for name in MEANS)
    seen = [
        f"{'sees' if sees else 'does not see'} {what}"
        for sees, what in (
            (sees_swapped, "that half the answers of the control are swapped"),
            (sees_doubled, "that twice the random rows are better"),
        )
    ]
    return Sight(sees_swapped, sees_doubled, f"The experiment {', and it '.join(seen)}.")


def verdict_of(differences: Mapping[str, CrossedMean], worth: Mapping[str, TokenWorth | None], sight: Sight) -> Verdict:
    """Return what is said of a set.

    It is better or worse where both means say so: by one of them alone, a set with long answers or one with short ones
    can win without being better.

    :param differences: the loss less that with random rows of the same tokens, by the name of the mean.
    :param worth: in tokens of random rows, by the name of the mean.
    :param sight: see `sight_of`.
    """
    if any(mean.low is None for mean in differences.values()):
        return Verdict("cannot_tell", "Cannot tell: one draw does not show how far chance goes; take at least two.")
    if not sight.swapped:
        return Verdict(
            "cannot_tell",
            "Cannot tell: the experiment does not see that half the answers of its control are swapped. It needs more "
            "answer tokens, draws or held-out rows.",
        )
    per_token, per_row = (differences[name] for name in MEANS)
    if not (per_token.excludes_zero and per_row.excludes_zero):
        return Verdict("cannot_tell", _not_told(per_token, per_row) + _worth_beside(worth))
    if (per_token.estimate < 0) != (per_row.estimate < 0):
        return Verdict(
            "cannot_tell",
            f"Cannot tell: {_side(per_token)} per token and {_side(per_row)} per row than random rows, as a set does "
            "that has longer or shorter answers than the held-out rows.",
        )
    kind: VerdictKind = "better" if per_row.estimate < 0 else "worse"
    told = f"{kind.capitalize()} than random rows of as many tokens"
    known = {name: found for name, found in worth.items() if found is not None}
    if len(known) < len(MEANS):
        return Verdict(
            kind, f"{told}; worth how many of them cannot be told, since twice as many are not clearly better."
        )
    return Verdict(kind, f"{told}: worth {_both(known)}.")


def worth_in_words(worth: TokenWorth) -> str:
    """Return what a set is worth as a number with its interval."""
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
        f"Cannot tell from random rows of as many tokens: {_side(mean)} per {name}, by the other mean chance may do it."
    )


def _worth_beside(worth: Mapping[str, TokenWorth | None]) -> str:
    known = {name: found for name, found in worth.items() if found is not None}
    return f" It may be worth {_both(known)}." if len(known) == len(MEANS) else ""


def _side(mean: CrossedMean) -> str:
    return "better" if mean.estimate < 0 else "worse"


def _clear(mean: CrossedMean, sign: int) -> bool:
    return mean.excludes_zero and mean.estimate * sign > 0
