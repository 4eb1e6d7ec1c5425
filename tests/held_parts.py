"""Parts of a dataset in this process, for tests of what does not depend on a cluster."""

from __future__ import annotations

from itertools import repeat

import numpy as np

from mergeit_ops.jobs.parts import Part


class HeldParts:
    """See `Parts`."""

    def __init__(self, parts):
        self.parts = parts

    @classmethod
    def of(cls, vectors, count, order):
        """Rows in an order; the row with the vector i has the hash that i has in any order."""
        hashes = np.random.default_rng(3).integers(0, 2**63, len(vectors), dtype=np.uint64)
        whole = Part(np.arange(len(order)), hashes[order], vectors[order])
        return cls([part.sorted() for part in whole.divided(count)])

    def tell(self, function, *shared, each=None):
        own = repeat(()) if each is None else ((value,) for value in each)
        return [function(part, *shared, *next(own)) for part in self.parts]

    def evolved(self, function, states, *shared):
        states = states or [None] * len(self.parts)
        made = [function(part, state, *shared) for part, state in zip(self.parts, states, strict=True)]
        return [state for state, _ in made], [report for _, report in made]

    def divided(self, function, count, *shared, each=None):
        made = [part.divided(count) for part in self.tell(function, *shared, each=each)]
        return HeldParts([Part.joined(column) for column in zip(*made, strict=True)])
