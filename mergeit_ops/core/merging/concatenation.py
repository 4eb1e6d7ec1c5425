"""The paper's baseline merge: parents joined with "and", no LLM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mergeit_ops.core.sample import Sample

_END_MARKS = ".!?。！？"


def concatenate(parents: Sequence[Sample]) -> Sample:
    """Join parents into one sample.

    Instructions are joined with "and". Inputs and outputs are put one below the other, without blank ones.

    :param parents: at least two.
    :return: the joined sample; its system prompt is that of the first parent.
    """
    *head, last = (parent.instruction.strip() for parent in parents)
    # A full stop before "and" would cut the joined sentence in two.
    instruction = " and ".join([*(text.rstrip(_END_MARKS) for text in head), _lowered(last)])
    return Sample(
        instruction=instruction,
        input=_stacked(parent.input for parent in parents),
        output=_stacked(parent.output for parent in parents),
        system=parents[0].system,
    )


def _lowered(text: str) -> str:
    # "SQL query for ..." and "I ..." keep their capital; only an ordinary capitalised word is put in lower case.
    second = text[1:2]
    return text[0].lower() + text[1:] if second.islower() else text


def _stacked(texts: Iterable[str]) -> str:
    return "\n\n".join(text.strip() for text in texts if text.strip())
