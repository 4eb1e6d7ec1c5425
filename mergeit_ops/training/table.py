"""The results of an experiment as text for a terminal with 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mergeit_ops.core.text.counts import many
from mergeit_ops.core.training_effect.crossed_mean import CrossedMean
from mergeit_ops.core.training_effect.held_out_losses import MEANS
from mergeit_ops.training.names import CONTROL_NAMES
from mergeit_ops.training.plan import RANDOM_2X, SWAPPED
from mergeit_ops.training.summary import SMALL, Found, Measured, Power

__all__ = ["as_table", "power_in_words"]

_LEAST_NAME = 24


def as_table(found: Found) -> str:
    """Return one line of losses and differences for each set and control, then the verdicts.

    :param found: results of the experiment.
    """
    return "\n".join(_lines(found))


def power_in_words(power: Power) -> str:
    """Return the smallest detectable difference, and the draws or held-out rows that detect `SMALL`."""
    told = f"detects {power.smallest:.4f}; {SMALL} takes "
    if power.draws is not None:
        return told + many(power.draws, "draw")
    return told + many(power.rows, "held-out row")


def _lines(found: Found) -> Iterator[str]:
    names = [*(one.name for one in found.sets), *CONTROL_NAMES.values(), "the student itself"]
    width = max(_LEAST_NAME, *map(len, names))
    heads = f"{'per token':>9}  {'per row':>9}   difference to random rows: per token, per row"
    yield f"{'held-out loss of answers':<{width}}  {heads}"
    if found.base:
        yield _line("the student itself", width, found.base)
    if found.random:
        yield _line("random rows", width, found.random)
    for role in (RANDOM_2X, SWAPPED):
        if role in found.controls:
            yield _measured(CONTROL_NAMES[role], width, found.controls[role])
    for one in found.sets:
        if one.measured is not None:
            yield _measured(one.name, width, one.measured)
    yield ""
    yield (
        f"{many(found.repeats, 'repeat')} of the controls, {many(found.trainings, 'training')}"
        + (f", {found.left} left" if found.left else "")
        + f"; {found.confidence:.0%} intervals, * if they exclude 0; lower is better"
    )
    if found.sight is not None:
        yield found.sight.sentence
    for one in found.sets:
        yield ""
        yield f"{one.name}: {one.verdict.sentence}"
        if one.measured is not None and one.measured.power:
            yield "  " + "; ".join(f"per {mean}, {power_in_words(one.measured.power[mean])}" for mean in MEANS) + "."


def _measured(name: str, width: int, measured: Measured) -> str:
    told = ", ".join(_difference(measured.differences[mean]) for mean in MEANS)
    return f"{_line(name, width, measured.losses)}   {told}"


def _line(name: str, width: int, losses: Mapping[str, float]) -> str:
    return f"{name:<{width}}  " + "  ".join(f"{losses[mean]:9.4f}" for mean in MEANS)


def _difference(mean: CrossedMean) -> str:
    if mean.low is None:
        return f"{mean.estimate:+.4f}"
    mark = "*" if mean.excludes_zero else ""
    return f"{mean.estimate:+.4f}{mark} ({mean.low:+.4f} to {mean.high:+.4f})"
