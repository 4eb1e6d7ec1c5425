"""Base class of mappers that get the whole dataset."""

from __future__ import annotations

from data_juicer.ops.base_op import Pipeline


class Mapper(Pipeline):
    """Base class of mappers that get the whole dataset, in every executor.

    On Ray, Data-Juicer maps its own class of this name batch by batch. Its operator search recognises mappers by the
    name of this class.
    """
