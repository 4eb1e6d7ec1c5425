"""Base class of mappers that get the whole dataset."""

from __future__ import annotations

from data_juicer.ops.base_op import Pipeline


class Mapper(Pipeline):
    """Base class of mappers that get the whole dataset, in every executor.

    On Ray, Data-Juicer maps its own `Mapper` batch by batch, so this class does not inherit from it. It has the same
    name because Data-Juicer's operator search recognises mappers by the name of their base class.
    """
