"""Findings as one HTML page that needs nothing beside itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mergeit_ops.report.costs import Cost, total
from mergeit_ops.report.findings import Findings, Histogram, TopicLine
from mergeit_ops.report.rendering import count, figure, plain, render, seconds
from mergeit_ops.report.text import TEXT_LIMIT, shown

__all__ = ["page"]

_HOVER_CHARACTERS = 180

_REASONS = {
    # Of merges that failed.
    "api_failed": "the server gave no answer",
    "too_long": "longer than the model's window, or than memory holds",
    "unparsable": "the answer could not be read",
    "refused": "the model refused",
    "truncated": "the answer was cut off",
    "empty": "the answer was blank",
    "echo": "the answer copied a parent",
    "parent_lost": "the answer lost a part of a parent",
    "added_demand": "the answer asks what no parent asks",
    "no_choices": "the answer held nothing",
    "budget": "the token budget was spent",
    # Of merges that were rejected.
    "score": "not good enough for gamma",
    "coverage": "kept too little of a parent",
    "no_score": "could not be scored",
    # Of rows that were never offered for a merge.
    "unencodable": "holds a value without a text form",
    "bad_row": "instruction or response missing",
    "multi_turn": "more than one question and answer",
    "more_than_text": "holds tools, images or the like",
    "reasoning": "holds a reasoning trace",
}

# What a merge keeps least of a parent, by reason code.
_PARTS = {"demand": "instruction", "input": "input", "answer": "output"}


def page(findings: Findings) -> str:
    """Return the page.

    :param findings: what it says.
    """
    context = {
        "f": findings,
        "total": total(findings.costs),
        "accepted": sum(merge.rejected is None for merge in findings.survey.merges),
        "failed": sum(findings.failed.values()),
        "rows_in": findings.stages[0].rows,
        "widest": max([stage.rows for stage in findings.stages] + [1]),
        "became": _became(findings),
        "cost_columns": _cost_columns(findings),
        "reasons": _reasons(findings),
        "text_limit": TEXT_LIMIT,
    }
    return render("report.html", context, _data(findings), [("mergeit_ops.report", "report.js")])


def _became(findings: Findings) -> list[tuple[str, str, int]]:
    names = {
        "original": "never merged",
        "merged": "merges",
        "restored": "given back by the gate",
    }
    statuses = findings.survey.statuses
    return [(status, names.get(status, status), count) for status, count in _largest_first(statuses)]


def _cost_columns(findings: Findings) -> list[tuple[str, Callable[[Cost], str]]]:
    """Return the columns that hold anything, and what they show of an operator."""
    columns: list[tuple[str, str, Callable[[Any], str]]] = [
        ("Time", "seconds", seconds),
        ("Calls", "calls", count),
        ("From the journal", "cache_hits", count),
        ("Prompt tokens", "prompt_tokens", count),
        ("Completion tokens", "completion_tokens", count),
        ("Cost", "cost", figure),
    ]
    whole = total(findings.costs)

    def column(name: str, shown_as: Callable[[Any], str]) -> Callable[[Cost], str]:
        return lambda part: shown_as(getattr(part, name))

    return [(title, column(name, shown_as)) for title, name, shown_as in columns if getattr(whole, name) is not None]


def _reasons(findings: Findings) -> list[tuple[str, list[tuple[str, str, int]]]]:
    parts = (
        ("Merges that failed", findings.failed),
        ("Merges that the gate took apart", findings.rejected),
        ("Rows that could not be merged", findings.unmergeable),
    )
    return [
        (name, [(code, _REASONS.get(code, "").capitalize(), many) for code, many in _largest_first(part)])
        for name, part in parts
        if part
    ]


def _largest_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((name, many) for name, many in counts.items() if many), key=lambda part: (-part[1], part[0]))


def _data(findings: Findings) -> dict[str, Any]:
    position = {line.id: number for number, line in enumerate(findings.topics)}
    return {
        "topics": [_topic(line) for line in findings.topics],
        "map": _map(findings, position),
        "quality": {name: _histogram(part) for name, part in findings.quality.items()},
        "similarity": None if findings.similarity is None else _histogram(findings.similarity),
        "whatIf": _what_if(findings),
        "merges": _merges(findings, position),
    }


def _topic(line: TopicLine) -> dict[str, Any]:
    return {
        "id": line.id,
        "label": plain(", ".join(line.words)),
        "size": line.size,
        "selected": line.selected,
        "merged": line.merged,
        "restored": line.restored,
        "rows": line.rows,
        "quality": _number(line.quality, 3),
        "colour": line.colour,
    }


def _map(findings: Findings, position: Mapping[int, int]) -> dict[str, Any] | None:
    found = findings.map
    if found is None or len(found.places) < 2:
        return None
    return {
        "x": [round(x, 3) for x, _ in found.places],
        "y": [round(y, 3) for _, y in found.places],
        "topic": [position.get(point.topic, -1) if point.topic is not None else -1 for point in found.points],
        "status": [point.status or "" for point in found.points],
        "text": [_hover(point.query) for point in found.points],
        "centres": [
            [round(part, 3) for part in centre] if (centre := found.centres.get(line.id)) else None
            for line in findings.topics
        ],
    }


def _hover(text: str) -> str:
    start, cut = shown(" ".join(text[: 4 * _HOVER_CHARACTERS].split()), _HOVER_CHARACTERS)
    return start + ("…" if cut or len(text) > 4 * _HOVER_CHARACTERS else "")


def _histogram(found: Histogram) -> dict[str, Any]:
    return {
        "edges": [round(edge, 5) for edge in found.edges],
        "counts": found.counts,
        "medians": {name: _number(value, 3) for name, value in found.medians.items()},
    }


def _what_if(findings: Findings) -> dict[str, Any] | None:
    found = findings.what_if
    if found is None:
        return None
    return {
        "gammas": [outcome.gamma for outcome in found.outcomes],
        "passing": [outcome.passing for outcome in found.outcomes],
        "rows": [outcome.rows for outcome in found.outcomes],
        "start": found.start,
        "decided": found.decided,
        "known": found.known,
    }


def _merges(findings: Findings, position: Mapping[int, int]) -> dict[str, Any]:
    models = sorted({shown_merge.model or "" for shown_merge in findings.shown})
    return {
        "models": [plain(model) for model in models],
        "items": [
            [
                shown_merge.merge.key,
                -1 if shown_merge.merge.topic is None else position.get(shown_merge.merge.topic, -1),
                _number(shown_merge.merge.similarity, 4),
                _number(shown_merge.merge.before, 3),
                _number(shown_merge.merge.after, 3),
                _number(shown_merge.merge.ratio, 4),
                _number(shown_merge.merge.coverage, 3),
                [[_number(share, 3), _PARTS.get(part, "")] for share, part in shown_merge.merge.kept],
                None if shown_merge.merge.rejected is None else plain(shown_merge.merge.rejected),
                models.index(shown_merge.model or ""),
                shown_merge.merged,
                shown_merge.parents,
            ]
            for shown_merge in findings.shown
        ],
        "reasons": {
            reason: _REASONS.get(reason, reason)
            for reason in sorted({plain(part.merge.rejected) for part in findings.shown if part.merge.rejected})
        },
    }


def _number(value: Any, digits: int) -> float | None:
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return round(float(value), digits) if known else None
