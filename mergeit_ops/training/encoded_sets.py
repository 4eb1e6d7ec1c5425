"""Sets as tokens: one file, or one file for each pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoding import EncodedRow, RowEncoder
from mergeit_ops.training.reading import TrainingSet

__all__ = ["EncodedSet", "PerPool", "encoded_set"]


@dataclass(frozen=True)
class EncodedSet:
    """The rows of a set that a student can be trained on.

    :param read: the set as it was read from its file.
    :param samples: the n rows with room for an answer.
    :param ids: n row ids.
    :param rows: the n rows as tokens.
    :param too_long: number of rows that are left out because their question leaves no room for an answer.
    :param cut: number of rows whose end is cut off.
    :param calls_lost: number of rows whose tool calls the chat template does not write.
    """

    read: TrainingSet
    samples: Sequence[Sample]
    ids: Sequence[str]
    rows: Sequence[EncodedRow]
    too_long: int
    cut: int
    calls_lost: int = 0

    @property
    def answer_tokens(self) -> int:
        """Return the number of answer tokens of all rows."""
        return sum(row.answer_tokens for row in self.rows)


@dataclass(frozen=True)
class PerPool:
    """The rows of each draw. All draws use one file, or each draw uses its own file.

    :param sets: one set for all draws, or one for each pool. With several sets, draw k uses set k.
    """

    sets: Sequence[EncodedSet]

    def __iter__(self) -> Iterator[EncodedSet]:
        return iter(self.sets)

    def of_draw(self, draw: int) -> EncodedSet:
        """Return the rows of a draw.

        :param draw: index of the draw, from 0. With several sets it must be below their number.
        """
        return self.sets[draw if len(self.sets) > 1 else 0]

    def has(self, draw: int, digest: str) -> bool:
        """Return whether a draw has these rows.

        :param draw: index of the draw, from 0.
        :param digest: digest of the rows.
        """
        return (len(self.sets) == 1 or draw < len(self.sets)) and self.of_draw(draw).read.digest == digest

    def labelled(self, name: str) -> Iterator[tuple[str, EncodedSet]]:
        """Yield each set with a readable name.

        :param name: name of the set or method.
        """
        for one in self.sets:
            yield (f"{name}, {one.read.path.name}" if len(self.sets) > 1 else name), one


def encoded_set(read: TrainingSet, encoder: RowEncoder) -> EncodedSet:
    """Encode all rows of a set as tokens.

    :param read: the set.
    :param encoder: encoder of the student.
    :raises DatasetError: if no row has room for an answer.
    """
    pairs = zip(read.samples, read.conversations, strict=True)
    encoded = [encoder.encode(sample, conversation) for sample, conversation in pairs]
    kept = [number for number, row in enumerate(encoded) if row is not None]
    rows = [row for row in encoded if row is not None]
    if not rows:
        raise DatasetError(
            f"{read.path}: no question of a row leaves room for an answer within "
            f"{encoder.most_tokens} tokens; raise --max-length."
        )
    return EncodedSet(
        read,
        [read.samples[number] for number in kept],
        [read.ids[number] for number in kept],
        rows,
        len(encoded) - len(rows),
        sum(row.cut for row in rows),
        sum(row.calls_lost for row in rows),
    )
