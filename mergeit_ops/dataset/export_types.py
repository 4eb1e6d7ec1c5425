"""Find column types that Data-Juicer's export formats cannot hold.

Data-Juicer writes the export at the end of a run. With such a column it stops there, or (with `export_shard_size`)
leaves empty files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import BATCH_META, HASH_COLUMNS, META, STATS
from mergeit_ops.dataset.recipe import Recipe

_PARQUET = "parquet"
_JSON_FORMATS = ("json", "jsonl")

# In a WebDataset, the suffix of a column's name says how it is stored; columns without a suffix hold text or bytes.
_WEBDATASET_ENCODED = ("json", "cls", "cls2", "npy", "mp", "pt", "pth", "pickle", "pkl")


@dataclass(frozen=True)
class ExportFormat:
    """The export format of a run.

    :param name: Data-Juicer's name of the format.
    :param on_ray: whether the Ray executors write it.
    :param left_out: columns that Data-Juicer removes before the export.
    """

    name: str
    on_ray: bool = False
    left_out: frozenset[str] = frozenset()

    @classmethod
    def of(cls, recipe: Recipe) -> ExportFormat | None:
        """Return the format of a recipe; None if it exports nothing, or if Data-Juicer refuses the format anyway."""
        path = recipe.export_path
        if not path:
            return None
        on_ray = recipe.executor != "default"
        suffix = os.path.splitext(path)[1].lstrip(".").lower() or ("jsonl" if on_ray else "")
        name = getattr(recipe.config, "export_type", None) or suffix
        left_out: list[str] = []
        if not getattr(recipe.config, "keep_stats_in_res_ds", False):
            left_out += (META, STATS)
        if not getattr(recipe.config, "keep_hashes_in_res_ds", False):
            left_out += HASH_COLUMNS
        return cls(name, on_ray, frozenset(left_out)) if name else None


def unwritable_columns(schema: pa.Schema, export: ExportFormat) -> dict[str, str]:
    """Return the columns that a format cannot hold, each with its type as text.

    :param schema: schema of the rows, flat or grouped into topics.
    :param export: export format of the run.
    """
    cannot = _RULES.get(export.name)
    if cannot is None:
        return {}
    return {
        field.name: str(field.type) if found == field.type else f"{found} in {field.type}"
        for field in _exported(schema, export)
        if (found := cannot(field, export)) is not None
    }


def complaint(schema: pa.Schema, export: ExportFormat) -> str | None:
    """Return what is wrong with an export and what to do, without a full stop; None if it is right.

    :param schema: of the rows.
    :param export: export format of the run.
    """
    found = unwritable_columns(schema, export)
    if not found:
        return None
    columns = ", ".join(f"'{name}' ({kind})" for name, kind in found.items())
    many = "s" if len(found) > 1 else ""
    cures = []
    if not unwritable_columns(schema, replace(export, name=_PARQUET)):
        cures.append("export to .parquet")
    elif not unwritable_columns(schema, replace(export, name="jsonl")):
        cures.append("export to .jsonl")
    if found.keys() <= {META, STATS}:
        cures.append("set keep_stats_in_res_ds to false")
    else:
        cures.append(f"remove or convert the column{many} in the dataset")
    return f"the export to .{export.name} cannot hold the column{many} {columns}; {', or '.join(cures)}"


def _exported(schema: pa.Schema, export: ExportFormat) -> Iterator[pa.Field[Any]]:
    grouped = BATCH_META in schema.names
    for field in schema:
        if field.name == BATCH_META or field.name in export.left_out:
            continue
        # In topics every column holds a list of the exported values.
        is_list = pa.types.is_list(field.type) or pa.types.is_large_list(field.type)
        yield field.with_type(field.type.value_type) if grouped and is_list else field


_Rule = Callable[["pa.Field[Any]", ExportFormat], "pa.DataType | None"]


def _not_in_json(field: pa.Field[Any], export: ExportFormat) -> pa.DataType | None:
    # Ray uses pandas, which can write dates only inside lists and structs.
    if export.on_ray and pa.types.is_date(field.type):
        return field.type
    return _first(field.type, _has_no_json_form)


def _has_no_json_form(kind: pa.DataType) -> bool:
    return (
        pa.types.is_decimal(kind)
        or _is_bytes(kind)
        or pa.types.is_time(kind)
        or pa.types.is_duration(kind)
        or pa.types.is_interval(kind)
    )


def _not_in_parquet(field: pa.Field[Any], export: ExportFormat) -> pa.DataType | None:
    def cannot(kind: pa.DataType) -> bool:
        return pa.types.is_interval(kind) or (pa.types.is_struct(kind) and not kind.num_fields)

    # Data-Juicer adds these two without fields; operators fill them.
    return None if field.name in (META, STATS) else _first(field.type, cannot)


def _not_in_csv(field: pa.Field[Any], export: ExportFormat) -> pa.DataType | None:
    def cannot(kind: pa.DataType) -> bool:
        return pa.types.is_nested(kind) or _is_bytes(kind) or isinstance(kind, pa.BaseExtensionType)

    return _first(field.type, cannot)


def _not_in_tfrecords(field: pa.Field[Any], export: ExportFormat) -> pa.DataType | None:
    kind = field.type
    value = kind.value_type if pa.types.is_list(kind) else kind
    can = (pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_binary)
    return None if any(holds(value) for holds in can) else kind


def _not_in_webdataset(field: pa.Field[Any], export: ExportFormat) -> pa.DataType | None:
    kind = field.type
    if "." in field.name or field.name in _WEBDATASET_ENCODED or field.name.startswith("__"):
        return None
    can = (pa.types.is_string, pa.types.is_large_string, pa.types.is_null, pa.types.is_dictionary, _is_bytes)
    return None if any(holds(kind) for holds in can) else kind


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(_JSON_FORMATS, _not_in_json),
    _PARQUET: _not_in_parquet,
    "csv": _not_in_csv,
    "tfrecords": _not_in_tfrecords,
    "webdataset": _not_in_webdataset,
}


def _first(kind: pa.DataType, cannot: Callable[[pa.DataType], bool]) -> pa.DataType | None:
    """Return the first type that meets a condition: the type itself or one inside it."""
    return next((part for part in _parts(kind) if cannot(part)), None)


def _parts(kind: pa.DataType) -> Iterable[pa.DataType]:
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        if not isinstance(kind, pa.JsonType):
            yield from _parts(kind.storage_type)
    elif pa.types.is_dictionary(kind):
        yield from _parts(kind.value_type)
    else:
        for number in range(kind.num_fields):
            yield from _parts(kind.field(number).type)


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )
