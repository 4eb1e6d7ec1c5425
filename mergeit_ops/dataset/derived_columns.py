"""Columns of merged and rewritten rows that are built from their other columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import is_carried, is_content
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.formats.chat import ChatFormat
from mergeit_ops.core.formats.prompt_completion import PromptCompletionFormat
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.column_template import ColumnTemplate

SAMPLE_FIELDS = ("instruction", "input", "output", "system")
"""Names that a template may use for the parts of a merged conversation, which have no columns."""


@dataclass(frozen=True)
class DerivedColumns:
    """The parameter `derived_columns` of the merger and the rewriter.

    :param templates: maps each column to the template of its text.
    """

    templates: Mapping[str, ColumnTemplate] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.templates)

    @classmethod
    def parse(cls, parameter: Any) -> DerivedColumns:
        """Read the parameter.

        :param parameter: mapping of columns to templates; None: no column.
        :raises ValueError: if it is not such a mapping, or a template cannot be used.
        """
        if parameter is None:
            return cls()
        if not isinstance(parameter, Mapping):
            raise ValueError(f"must map columns to templates, got {parameter!r}")
        templates = {}
        for column, text in parameter.items():
            if not isinstance(column, str) or not column or not isinstance(text, str):
                raise ValueError(f"must map columns to templates, both texts, got {column!r}: {text!r}")
            if not (is_carried(column) and is_content(column)):
                raise ValueError(f"cannot write '{column}', which is not a column of samples")
            try:
                templates[column] = ColumnTemplate(text)
            except ValueError as error:
                raise ValueError(
                    f"has a template for '{column}' that cannot be used: {error}. Write column names in braces, as "
                    "in '{query} {response}', and double each brace that belongs to the text"
                ) from error
        for column, template in templates.items():
            if circular := [name for name in template.names if name in templates]:
                raise ValueError(
                    f"builds '{column}' from '{circular[0]}', which is itself a derived column; use the columns that "
                    f"'{circular[0]}' is built from"
                )
        return cls(templates)

    def check(self, types: Mapping[str, pa.DataType], layout: SampleFormat) -> None:
        """Compare the templates with the columns of a dataset.

        :param types: maps each column to its type in flat rows.
        :param layout: layout of the samples.
        :raises ValueError: if a column does not exist, is not a text column or belongs to the layout, or if a template
            names an unknown column.
        """
        known = [*types] + [name for name in _sample_names(layout) if name not in types]
        for column, template in self.templates.items():
            if column not in types:
                raise ValueError(f"names the column '{column}', which the dataset lacks; it has {_listed(types)}")
            if column in layout.columns:
                raise ValueError(f"names the column '{column}', which the operator itself writes; remove it")
            if not is_text(types[column]):
                raise ValueError(f"names the column '{column}' of type {types[column]}; it must be a column of text")
            for name in template.names:
                if name not in known:
                    raise ValueError(
                        f"builds '{column}' from '{name}', which is not a known column; the known columns are "
                        f"{_listed(known)}"
                    )

    def values(self, row: Mapping[str, Any], sample: Sample, layout: SampleFormat) -> dict[str, str]:
        """Return the texts of the derived columns of a merged row.

        :param row: the merged row without them.
        :param sample: the merged sample.
        :param layout: layout of the samples.
        """
        if not self.templates:
            return {}
        fields = asdict(sample)
        texts = {name: fields[name] for name in _sample_names(layout)}
        texts |= {name: _text(value) for name, value in row.items() if value is not None or name not in texts}
        return {column: template.render(texts) for column, template in self.templates.items()}


def _sample_names(layout: SampleFormat) -> tuple[str, ...]:
    return SAMPLE_FIELDS if is_conversation(layout) else ()


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of a type can be derived."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def is_conversation(layout: SampleFormat) -> bool:
    """Return whether samples of a layout may be turns in columns that do not hold texts."""
    return isinstance(layout, (ChatFormat, PromptCompletionFormat))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names if is_content(name))
