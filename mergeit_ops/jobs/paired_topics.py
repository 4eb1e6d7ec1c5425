"""Topics with their groups, of which the first are yielded before all are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.topics import Topic


class PairedTopics:
    """Yields each topic with its groups, in order.

    The first groups are yielded as soon as they are found, so that their requests run while the other topics are
    searched. After that the number of all groups is known, for the progress display.

    :param topics: function that yields the topics from the start each time.
    :param find: function that finds the groups of a topic.
    :param at_once: number of groups to yield before the others are searched.
    """

    def __init__(
        self, topics: Callable[[], Iterable[Topic]], find: Callable[[Topic], Sequence[Group]], at_once: int
    ) -> None:
        self._topics = topics
        self._find = find
        self._at_once = at_once
        self.total: int | None = None
        """Number of groups of all topics; None as long as it is unknown."""

    def __iter__(self) -> Iterator[tuple[Topic, Sequence[Group]]]:
        topics = iter(self._topics())
        groups: list[Sequence[Group]] = []
        found = 0
        while found < self._at_once:
            topic = next(topics, None)
            if topic is None:
                self.total = found
                return
            groups.append(self._find(topic))
            found += len(groups[-1])
            yield topic, groups[-1]
        first = len(groups)
        groups += map(self._find, topics)
        self.total = sum(map(len, groups))
        yield from islice(zip(self._topics(), groups, strict=True), first, None)
