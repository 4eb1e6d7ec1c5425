"""Operators as a user of Data-Juicer writes them, for the tests that put them around ours."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import TAGGING_OPS, Mapper


@TAGGING_OPS.register_module("length_tagging_mapper")
class LengthTaggingMapper(Mapper):
    """Notes in the metadata how long an answer is."""

    _name = "length_tagging_mapper"

    def process_single(self, sample: dict[str, Any]) -> dict[str, Any]:
        sample["__dj__meta__"] = {**sample["__dj__meta__"], "length": len(sample["output"])}
        return sample
