"""Operators of a Data-Juicer user, which tests put around ours."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import TAGGING_OPS, Mapper


@TAGGING_OPS.register_module("length_tagging_mapper")
class LengthTaggingMapper(Mapper):
    """Writes the length of an answer into the metadata."""

    _name = "length_tagging_mapper"

    def process_single(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample["__dj__meta__"] = {**sample["__dj__meta__"], "length": len(sample["output"])}
        return sample
