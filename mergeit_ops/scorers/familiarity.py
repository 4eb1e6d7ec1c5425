"""Whether a row is like the training rows of the weights: a regressor returns a number for any row, meaningful or
not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.formats.traces import part_trace
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.code import code_line_share
from mergeit_ops.core.text.counts import many
from mergeit_ops.core.text.language import language_of
from mergeit_ops.errors import temporary_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OTHER_LANGUAGE", "REASONING", "UNLIKE_TRAINING", "TrainedOn", "languages_of"]

OTHER_LANGUAGE, REASONING, UNLIKE_TRAINING = "other_language", "reasoning", "unlike_training"
"""Reasons why a row has no score."""

LEAST_SHARE = 0.01
"""Lowest share of the training rows at which a language, or a trace in the response, counts as trained on."""

_MOSTLY = 0.5
_NO_LANGUAGE = "zxx"  # what py3langid calls numbers and the like
_FARTHEST_OF, _MARGIN = (
    0.999,
    1.05,
)  # a quantile, because the outermost rows are often broken, and the factor by which rows may exceed it
_TOO_LONG = 2  # times the longest response
_QUANTILES = {"shortest": 0.0, "median": 0.5, "longest_of_100": 0.99, "longest": 1.0}


@dataclass(frozen=True)
class TrainedOn:
    """The training rows of the weights.

    :param rows: number of rows.
    :param languages: maps the ISO 639 code of a language to its share of the rows whose language is known, largest
        first; empty if no language is known.
    :param response_characters: length of the `shortest` and the `longest` response, the `median`, and the length that
        one in a hundred exceeds (`longest_of_100`).
    :param code_share: share of the responses in which more than half of the lines are code.
    :param trace_share: share of the responses that contain a reasoning trace.
    :param farthest: distance from the nearest support vector, in the space of the regressor's kernel, beyond which a
        row is unlike the training rows: 1.05 times the distance that one in a thousand of them exceeds; >= 0.
    """

    rows: int
    languages: Mapping[str, float]
    response_characters: Mapping[str, int]
    code_share: float
    trace_share: float
    farthest: float

    @classmethod
    def of(cls, samples: Sequence[Sample], distances: NDArray[np.float64]) -> TrainedOn:
        """Describe rows.

        :param samples: n >= 1 rows.
        :param distances: (n,) distance of each row from the nearest other one.
        """
        told = [languages for sample in samples if (languages := languages_of(sample))]
        counts = Counter(languages[0] for languages in told)
        lengths = np.array([len(sample.output) for sample in samples])
        return cls(
            rows=len(samples),
            languages={name: round(count / len(told), 4) for name, count in counts.most_common()},
            response_characters={name: int(np.quantile(lengths, part)) for name, part in _QUANTILES.items()},
            code_share=_share([code_line_share(sample.output) > _MOSTLY for sample in samples]),
            trace_share=_share([part_trace(sample.output).trace is not None for sample in samples]),
            farthest=round(float(np.quantile(distances, _FARTHEST_OF)) * _MARGIN, 4),
        )

    @classmethod
    def read(cls, record: Any) -> TrainedOn:
        """Read what `record` wrote.

        :param record: plain data.
        :raises TypeError: if a part is missing, unknown, or of another type.
        :raises KeyError: if a length is missing.
        :raises ValueError: if a number is impossible.
        """
        if not isinstance(record, Mapping):
            raise TypeError(f"it must be a mapping, got {type(record).__name__}")
        found = cls(**record)
        if not isinstance(found.languages, Mapping):
            raise TypeError("its languages must be a mapping of codes to shares")
        lengths = [found.response_characters[name] for name in _QUANTILES]
        numbers = [found.rows, found.farthest, found.trace_share, found.code_share, *lengths, *found.languages.values()]
        if not all(math.isfinite(float(number)) and float(number) >= 0 for number in numbers):
            raise ValueError("its shares and distances must be finite and not negative")
        return found

    def record(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def unfamiliar_texts(self, sample: Sample) -> str | None:
        """Return why a row's texts are unlike the training rows, apart from their embeddings; None if they are not.

        A row is in another language if at least one language is found in its question and response, and none of those
        found was trained on. So an English question that asks for a French answer counts as English. A response with
        more than twice the characters of the longest training response is unlike training, because most of it lies
        beyond the window of the embedding model.

        :param sample: the row.
        """
        if self.trace_share < LEAST_SHARE and part_trace(sample.output).trace is not None:
            return REASONING
        told = languages_of(sample)
        known = {name for name, share in self.languages.items() if share >= LEAST_SHARE}
        if told and known and known.isdisjoint(told):
            return OTHER_LANGUAGE
        return UNLIKE_TRAINING if len(sample.output) > _TOO_LONG * self.response_characters["longest"] else None

    def is_far(self, distance: float) -> bool:
        """Return whether a row is far from all training rows.

        :param distance: distance from the nearest support vector.
        """
        return distance > self.farthest

    def sentence(self) -> str:
        """Return a sentence about the training rows."""
        named = [f"{name} {share:.1%}" for name, share in self.languages.items() if share >= LEAST_SHARE]
        length = self.response_characters
        return (
            f"{many(self.rows, 'row')}; languages: {', '.join(named) or 'none that could be told'}; responses of "
            f"{length['shortest']:,} to {length['longest']:,} characters, half of them up to {length['median']:,}; "
            f"code in {self.code_share:.1%} of them, reasoning traces in {self.trace_share:.1%}."
        )


def languages_of(sample: Sample) -> tuple[str, ...]:
    """Return the languages of the question and of the response, as ISO 639 codes; an unknown one is left out.

    :param sample: a row.
    """
    with temporary_files("The model that tells languages"):
        told = (language_of(sample.query), language_of(sample.output))
    return tuple(language for language in told if language not in (None, _NO_LANGUAGE))


def _share(found: Sequence[bool]) -> float:
    return round(sum(found) / len(found), 4)
