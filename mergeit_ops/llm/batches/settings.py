"""What a recipe says about batches, as they are used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["BatchSettings"]

_TRANSFER_S = 600.0


@dataclass(frozen=True)
class BatchSettings:
    """How batches are made and waited for.

    :param max_requests: of a batch.
    :param max_bytes: of its file.
    :param poll_interval_s: seconds until a batch is looked at for the second time.
    :param completion_window: time within which a batch must be completed, in the server's words.
    :param folder: takes the files in place of the server; None: the server.
    :param transfer_timeout_s: seconds for a call that moves a file, at least.
    """

    max_requests: int
    max_bytes: int
    poll_interval_s: float
    completion_window: str
    folder: Path | None
    transfer_timeout_s: float = _TRANSFER_S

    @classmethod
    def of(cls, settings: LLMSettings) -> BatchSettings:
        """Return what a recipe says.

        :param settings: of the recipe.
        """
        folder = settings.batch_folder
        return cls(
            max_requests=settings.batch_max_requests,
            max_bytes=int(settings.batch_max_mb * 1_000_000),
            poll_interval_s=settings.batch_poll_interval,
            completion_window=settings.batch_completion_window,
            folder=None if folder is None else Path(os.path.expanduser(folder)),
        )
