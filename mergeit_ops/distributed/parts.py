"""The vectors of a Ray dataset, divided by hashes of the row ids. Each task holds the vectors of one part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from itertools import repeat
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.distributed.blocks import Blocks, Resources, finished
from mergeit_ops.distributed.columns import with_json
from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.distributed.row_ids import of_one_schema
from mergeit_ops.jobs.parts import Part
from mergeit_ops.jobs.row_keys import identity_keys
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["RayParts"]


class RayParts:
    """See `Parts`.

    :param refs: one reference per part.
    :param resources: what a task takes.
    """

    def __init__(self, refs: Sequence[ray.ObjectRef], resources: Resources) -> None:
        self._refs = refs
        self._resources = resources

    @classmethod
    def of(cls, blocks: Blocks, reader: SampleReader, count: int, resources: Resources) -> RayParts:
        """Divide the vectors of a dataset.

        :param blocks: flat rows with embeddings, zero where the text cannot be read.
        :param reader: reads the embeddings.
        :param count: number of parts.
        :param resources: what a task takes.
        :raises EmbeddingError: if the embeddings have different widths.
        """
        blocks = of_one_schema(blocks, reader)
        # A task reads as many rows as a part holds, or one of two that each processor gets. Otherwise the number of
        # pieces would be that of blocks times that of parts.
        tasks = min(len(blocks.refs), max(count, 2 * resources.at_once()))
        groups = np.array_split(np.arange(len(blocks.refs)), tasks)
        options = resources.options()
        with own_errors():
            shared = ray.put((reader, count))
            split = _split.options(num_returns=count + 1, **options)
            pieces = [
                split.remote(
                    shared, [blocks.firsts[block] for block in group], *(blocks.refs[block] for block in group)
                )
                for group in groups
            ]
            reader.check_widths(finished([width for *_, width in pieces]))
            gather = _gather.options(**options)
            refs = [gather.remote(*column) for column in zip(*(parts for *parts, _ in pieces), strict=True)]
        return cls(refs, resources)

    def tell(self, function: Callable[..., Any], *shared: Any, each: Iterable[Any] | None = None) -> list[Any]:
        """See `Parts`."""
        with own_errors():
            call, arguments = _call_of(function, shared, each)
            task = _tell.options(**self._resources.options())
            return finished([task.remote(call, ref, *next(arguments)) for ref in self._refs])

    def evolved(
        self, function: Callable[..., tuple[Any, Any]], states: Sequence[Any] | None, *shared: Any
    ) -> tuple[Sequence[Any], list[Any]]:
        """See `Parts`."""
        with own_errors():
            call, _ = _call_of(function, shared, None)
            task = _evolve.options(**self._resources.options())
            before = [None] * len(self._refs) if states is None else states
            made = [task.remote(call, ref, state) for ref, state in zip(self._refs, before, strict=True)]
            return [state for state, _ in made], finished([report for _, report in made])

    def divided(
        self, function: Callable[..., Part], count: int, *shared: Any, each: Iterable[Any] | None = None
    ) -> RayParts:
        """See `Parts`."""
        options = self._resources.options()
        with own_errors():
            call, arguments = _call_of(function, shared, each)
            task = _divide.options(num_returns=count, **options)
            made = [task.remote(call, ref, count, *next(arguments)) for ref in self._refs]
            columns = zip(*made, strict=True) if count > 1 else [made]
            refs = [_join.options(**options).remote(*column) for column in columns]
        return RayParts(refs, self._resources)


def _call_of(function: Callable[..., Any], shared: Sequence[Any], each: Iterable[Any] | None) -> tuple[Any, Any]:
    # The environment goes with the function: both are pickled, neither is logged.
    own = repeat(()) if each is None else ((argument,) for argument in each)
    return ray.put((function, DriverEnvironment(), shared)), own


@ray.remote
def _split(shared: tuple[SampleReader, int], firsts: Sequence[int], *tables: pa.Table) -> tuple[Any, ...]:
    """Return the rows of some blocks by part, and the width of their vectors."""
    reader, count = shared
    found = [_part(reader, with_json(table), first) for table, first in zip(tables, firsts, strict=True)]
    reader.check_widths(part.vectors.shape[1] for part in found)
    return *Part.joined(found).divided(count), found[0].vectors.shape[1]


def _part(reader: SampleReader, table: pa.Table, first: int) -> Part:
    vectors = reader.vectors(table.select([EMBEDDING]), first)
    _, keys = identity_keys(table)
    hashed = b"".join(blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return Part(np.arange(first, first + len(keys)), np.frombuffer(hashed, dtype=np.uint64), vectors)


@ray.remote
def _gather(*pieces: Part) -> Part:
    return Part.joined(pieces).sorted()


@ray.remote
def _join(*pieces: Part) -> Part:
    return Part.joined(pieces)


@ray.remote
def _tell(call: tuple[Callable[..., Any], DriverEnvironment, Sequence[Any]], part: Part, *own: Any) -> Any:
    function, environment, shared = call
    environment.apply()
    return function(part, *shared, *own)


@ray.remote(num_returns=2)
def _evolve(
    call: tuple[Callable[..., tuple[Any, Any]], DriverEnvironment, Sequence[Any]], part: Part, state: Any
) -> tuple[Any, Any]:
    function, environment, shared = call
    environment.apply()
    return function(part, state, *shared)


@ray.remote
def _divide(
    call: tuple[Callable[..., Part], DriverEnvironment, Sequence[Any]], part: Part, count: int, *own: Any
) -> Any:
    function, environment, shared = call
    environment.apply()
    pieces = function(part, *shared, *own).divided(count)
    return pieces if count > 1 else pieces[0]
