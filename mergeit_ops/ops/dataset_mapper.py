"""Base of mappers that Data-Juicer hands the whole dataset."""

from __future__ import annotations

from data_juicer.ops.base_op import Pipeline


class Mapper(Pipeline):
    """Base of mappers that are handed the whole dataset, in every executor.

    On Ray, Data-Juicer maps its own class of this name batch by batch. Its operator search takes an operator for a
    mapper by the name of this class.
    """
