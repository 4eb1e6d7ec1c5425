"""Reasons why merges failed or were rejected, in words, and what helps."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REASONS", "remedy"]

REASONS: Mapping[str, str] = {
    # Failed merges.
    "api_failed": "the server gave no answer",
    "too_long": "longer than the model's window, or than memory holds",
    "unparsable": "the answer could not be read",
    "refused": "the model refused",
    "truncated": "the answer was cut off",
    "empty": "the answer was blank",
    "echo": "the answer copied a parent",
    "parent_lost": "the answer lost a part of a parent",
    "added_demand": "the answer asks for something that no parent asks for",
    "no_choices": "the server's reply had no answer",
    "budget": "the token budget was spent",
    "unlikely": "an accepted merge was unlikely, so no model was called",
    # Failed rewritings.
    "length": "the instruction has too few or too many words",
    "language": "the answer is in another language",
    "new_url": "the answer has a web address that the row does not have",
    "procedure": "the answer mentions how it was made",
    # Rejected merges.
    "score": "not good enough for gamma",
    "coverage": "kept too little of a parent",
    "reverse_ifd": "the answer hardly determines its question",
    "no_score": "could not be scored",
    # Rows that were never offered for a merge.
    "unencodable": "has a value without a text form",
    "bad_row": "instruction or response missing",
    "multi_turn": "more than one question and answer",
    "more_than_text": "has tools, images or the like",
    "reasoning": "has a reasoning trace",
}

_LARGER_MODEL = "ask a larger model, or set merge_strategy to instruction, which asks less of a small one"

_REMEDIES: Mapping[str, str] = {
    "api_failed": "look at the last error of the server, and run the same recipe again",
    "too_long": "use a model with a larger window, or drop long rows before the merger",
    "unparsable": _LARGER_MODEL,
    "refused": "ask another model",
    "truncated": "raise max_tokens in sampling_params",
    "empty": "ask another model",
    "echo": _LARGER_MODEL,
    "parent_lost": f"{_LARGER_MODEL}, or lower min_parent_kept",
    "added_demand": f"{_LARGER_MODEL}, or set refuse_added_demands to false",
    "no_choices": "look at the log of the server",
    "budget": "raise max_total_tokens",
    "unlikely": "lower min_acceptance",
    "score": "compare merges and parents with `python -m mergeit_ops report`; then ask a larger model, or lower gamma",
    "coverage": "ask a larger model, or lower min_parent_coverage",
    "reverse_ifd": "ask a larger model, or raise max_reverse_ifd",
    "no_score": "take a scorer that can judge these rows; the status of each merge is in __dj__stats__",
}


def remedy(reason: str) -> str:
    """Return what to do about merges that failed or were rejected, as part of a sentence.

    :param reason: the reason code.
    """
    return _REMEDIES.get(reason, "look at the rows with this reason in the export")
