"""Whether the tool calls of each row fit the tools that it offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.json_schemas import Schemas
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.scoring.tool_calls import MEASURES, tool_call_figures

__all__ = ["ToolCallCheck"]

_VERSION = 1  # version of the rules for checking calls; if it changes, the stats are made again


class ToolCallCheck:
    """Checks the tool calls of each row, in any layout, without a model and without parameters.

    `valid_share`, the score, is the share of valid calls among all calls and orphan results: 1 if everything fits. A
    call is valid if its tool is one of the row's, its arguments are a JSON object, and they fit the JSON Schema of the
    tool. The other measures are counts: `calls`; `unknown_tools`, calls of a tool that the row does not offer;
    `malformed_arguments`, calls whose arguments are not a JSON object; `invalid_arguments`, calls whose arguments do
    not fit the schema; `orphan_results`, results that belong to no call; `unanswered_calls`, calls without a result in
    a conversation that goes on, which do not count against the score.

    The library jsonschema checks schemas by the draft that they name, or 2020-12 if they name none. References are
    followed within a schema only; nothing is ever fetched. `format` and `unevaluatedProperties` are not checked.
    """

    measures: ClassVar[Mapping[str, str]] = MEASURES
    reads: ClassVar[str] = "tool_use"
    no_ratio: ClassVar[str] = "a row with tools is never merged"

    def __init__(self) -> None:
        self._schemas: Schemas | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_schemas": None}

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {"version": _VERSION}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by their share of valid calls; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Check the tool calls of each row separately.

        :param samples: n rows.
        :return: n tuples with a score for each measure. A row without a score has one of these statuses:
            `no_tool_calls`; `no_tools` if it has calls but offers no tools; `unreadable_tools` or `unreadable_call` if
            their form is unknown; `invalid_schema`; `unresolved_reference` if the schema of a called tool refers to
            another document; `schema_too_large` if the check takes too long.
        """
        schemas = self._schemas = self._schemas or Schemas()
        return [_scores(sample, schemas) for sample in samples]


def _scores(sample: Sample, schemas: Schemas) -> tuple[Score, ...]:
    figures = "no_tool_calls" if sample.tool_use is None else tool_call_figures(sample.tool_use, schemas)
    if isinstance(figures, str):
        return (Score.missing(figures),) * len(MEASURES)
    return tuple(Score(figures[name]) for name in MEASURES)
