"""Losses of local models on disk, so that a killed run can continue."""

from __future__ import annotations

import json
import math
import weakref
from array import array
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.llm.journal import LOSSES_FILE
from mergeit_ops.llm.journals import open_journal

__all__ = ["LossJournal"]

_KEY_BYTES = 16  # a collision among a billion losses has odds of about one in 10^21


class LossJournal:
    """A model's losses of spans, in a journal with the format of the journal of answers.

    :param model: name of the model, for people who look into the journal.
    :param identity: everything that affects its losses (its files, how it is loaded, the type of its weights) as plain
        data.
    :param cache_path: file or folder of the journal; `auto`: below the user's cache folder.
    :raises RecipeError: if the file is not a journal, or has a newer version.
    """

    def __init__(self, model: str, identity: Mapping[str, Any], cache_path: str) -> None:
        self._model = model
        canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), default=str)
        self._seed = blake2b(canonical.encode("utf-8"), digest_size=_KEY_BYTES).digest()
        self._store = open_journal(cache_path, file_name=LOSSES_FILE)
        weakref.finalize(self, self._store.close)

    def get(self, spans: Sequence[Span], surprise: bool) -> dict[int, tuple[float, float]]:
        """Return the losses that are stored, by number of the span.

        :param spans: the spans, any number.
        :param surprise: whether the surprise is wanted too. If so, a loss stored without it is ignored.
        """
        keys = [self._key(span) for span in spans]
        stored = self._store.get_many(list(dict.fromkeys(keys)))
        found = {}
        for number, key in enumerate(keys):
            losses = _read(stored.get(key))
            if losses is not None and not (surprise and len(losses) < 2):
                found[number] = (losses[0], losses[1] if surprise else math.nan)
        return found

    def put(self, spans: Sequence[Span], losses: Sequence[tuple[float, float]]) -> None:
        """Store losses. When this returns, they are on disk, or the journal has logged why not.

        :param spans: n spans.
        :param losses: the mean loss of each span, and its surprise, NaN if it was not wanted.
        """
        texts = [str(loss) if math.isnan(surprise) else f"{loss} {surprise}" for loss, surprise in losses]
        self._store.put_many(dict(zip(map(self._key, spans), texts, strict=True)), model=self._model)

    def _key(self, span: Span) -> str:
        tokens = array("q", span.tokens[: span.stop])
        place = f"{span.first} {len(tokens)} ".encode("ascii")
        return blake2b(place + tokens.tobytes(), key=self._seed, digest_size=_KEY_BYTES).hexdigest()


def _read(text: str | None) -> list[float] | None:
    try:
        return [float(part) for part in text.split()] or None if text is not None else None
    except ValueError:
        return None
