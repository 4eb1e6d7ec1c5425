"""Exports written by hand: rows with the lineage and stats that merger and gate leave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.lineage import lineage, quality_stats
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.report.surveyed_run import SurveyedRun, survey_run
from mergeit_ops.runs import read_run

Row = dict[str, Any]


def content(instruction: str, output: str = "An answer.", input: str = "") -> Row:
    return {"instruction": instruction, "input": input, "output": output}


def original(topic: int, name: str, text: Mapping[str, Any] | None = None, **meta: Any) -> Row:
    """A row that was never merged; `meta` may name a failed merge."""
    fields = dict(text) if text is not None else content(f"Say something of {name}.")
    return fields | {META: lineage(topic_id=topic, row_id=name, row_order=0, **meta), STATS: quality_stats()}


def merged(
    topic: int,
    name: str,
    before: float | None = 2.0,
    after: float | None = 3.0,
    *,
    text: Row | None = None,
    **meta: Any,
) -> Row:
    """A merge of two rows that the gate let pass; without scores, no gate saw it."""
    parents = meta.pop("parents", None) or [content(f"First of {name}."), content(f"Second of {name}.")]
    lines = lineage(
        topic_id=topic,
        row_id=f"{name}-ab",
        row_order=0,
        status="merged",
        group_id=name,
        parents=[encode_row(parent) for parent in parents],
        parent_ids=[f"{name}-{i}" for i in range(len(parents))],
        similarity=meta.pop("similarity", 0.7),
        model=meta.pop("model", "a-model"),
        **meta,
    )
    return (text or content(f"Both of {name}.")) | {META: lines, STATS: scores(before, after, after)}


def restored(
    topic: int,
    name: str,
    before: float | None = 2.0,
    after: float | None = 1.0,
    *,
    rejected: str = "score",
    **meta: Any,
) -> list[Row]:
    """The two rows of a merge that the gate took apart again."""
    text = encode_row(meta.pop("text", None) or content(f"Both of {name}, badly."))
    rows = []
    for i, part in enumerate(
        meta.pop("parents", None) or [content(f"First of {name}."), content(f"Second of {name}.")]
    ):
        lines = lineage(
            topic_id=topic, row_id=f"{name}-{i}", row_order=i, status="restored", group_id=name, similarity=0.6
        )
        lines |= {"merge_rejected": rejected, "merge_rejected_text": None if i else text, "merge_model": "a-model"}
        rows.append(dict(part) | {META: lines | meta, STATS: scores(before, after, before)})
    return rows


def scores(before: float | None, after: float | None, own: float | None, coverage: float | None = None) -> Row:
    if before is None or after is None:
        return quality_stats(status="not_scored")
    return quality_stats(score=own, before=before, after=after, ratio=after / before, coverage=coverage, status="ok")


def surveyed(export: Path, **options: Any) -> SurveyedRun:
    """Read an export for a page, without embedding unless told otherwise."""
    return survey_run(read_run(export), **{"sample": 0, "say": lambda line: None} | options)


def write_export(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows as Data-Juicer would, halves of surrogate pairs as escapes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_records(work_dir: Path, *records: Mapping[str, Any]) -> Path:
    """Write what operators leave in a work dir; each record names its operator, figures and parameters."""
    folder = work_dir / "mergeit"
    folder.mkdir(parents=True)
    for number, record in enumerate(records, start=1):
        operator = OPERATORS.modules.get(record["operator"])
        role = operator.role_in(record.get("parameters") or {}) if operator is not None else {}
        whole = {"format_version": 1, "run": "r", "role": role, "parameters": {}, "figures": {}} | dict(record)
        (folder / f"{number:03d}_{record['operator']}.json").write_text(json.dumps(whole), encoding="utf-8")
    return work_dir
