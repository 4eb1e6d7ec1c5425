"""One journal for a whole cluster. It is on the driver's machine, and the tasks of all nodes use it.

If a node is lost, Ray runs its tasks again, and they find the answers that are paid for. The next run of the recipe
finds them too, on any node. If several tasks have the same question at the same moment, one of them asks it.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from loguru import logger
from ray.exceptions import RayError

from mergeit_ops.distributed.claims import Answer, Claimant, Claims
from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.distributed.holders import POLL_S
from mergeit_ops.distributed.kept_actors import MANY_CALLS, kept_actor
from mergeit_ops.llm.journal import ANSWERS_FILE, Journal, default_cache_path, journal_file
from mergeit_ops.llm.journals import share_journals
from mergeit_ops.llm.settings import CACHE_AUTO

_NAME = "mergeit_ops journal"

_PROCESS = uuid.uuid4().hex


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=MANY_CALLS)
class _JournalKeeper:
    """Opens journals on its machine and keeps them open, and knows which questions are being asked.

    :param home: the driver's home, for paths that begin with `~`.
    """

    def __init__(self, home: str) -> None:
        os.environ["HOME"] = home
        self._journals: dict[str, Journal] = {}
        self._claims = Claims()

    def open(self, path: str, create: bool, file_name: str) -> str:
        file = str(journal_file(path, file_name))
        self._journal(file, create)
        return file

    def get(self, path: str, key: str) -> str | None:
        return self._journal(path).get(key)

    def get_with_model(self, path: str, key: str) -> Answer | None:
        return self._journal(path).get_with_model(key)

    async def claim(self, path: str, key: str, claimant: Claimant) -> Answer | None:
        found = self._journal(path).get_with_model(key)
        return await self._claims.claim((path, key), claimant) if found is None else found

    def release(self, path: str, key: str, claimant: Claimant) -> None:
        self._claims.release((path, key), claimant)

    def hear(self, claimant: Claimant) -> None:
        self._claims.hear(claimant)

    def end(self, claimant: Claimant) -> None:
        self._claims.end(claimant)

    def get_many(self, path: str, keys: Sequence[str]) -> dict[str, str]:
        return self._journal(path).get_many(keys)

    def put(self, path: str, key: str, *answer: Any) -> bool:
        journal = self._journal(path)
        failures = journal.write_failures
        text, usage, model = answer
        journal.put(key, text, usage, model=model)
        self._claims.answered((path, key), (text, model))
        return journal.write_failures == failures

    def put_many(self, path: str, answers: Mapping[str, str], model: str | None) -> bool:
        journal = self._journal(path)
        failures = journal.write_failures
        journal.put_many(answers, model=model)
        return journal.write_failures == failures

    def _journal(self, path: str, create: bool = True) -> Journal:
        if path not in self._journals:
            journal = Journal(path, create=create)
            if not create:
                return journal
            self._journals[path] = journal
        return self._journals[path]


class ClusterJournal:
    """A task's view of a journal on the driver's machine; see `Journal`.

    :param keeper: the actor that has the journal open.
    :param task: id of the task.
    :param path: its file, or a folder for it, on the driver's machine.
    :param create: whether to create the file if it does not exist.
    :param file_name: name of the file, if the path is a folder.
    :raises RecipeError: see `Journal`.
    """

    def __init__(self, keeper: Any, task: str, path: str, create: bool = True, file_name: str = ANSWERS_FILE) -> None:
        self._keeper = keeper
        self._claimant = Claimant(task, f"{task} {_PROCESS}", uuid.uuid4().hex)
        self._life: asyncio.Task[None] | None = None
        self.write_failures = 0
        self._warned = False
        with own_errors():
            self.path: str = ray.get(keeper.open.remote(path, create, file_name))

    def get(self, key: str) -> str | None:
        """Return a stored answer."""
        try:
            return ray.get(self._keeper.get.remote(self.path, key))
        except RayError as error:
            self._warn_once(error)
            return None

    def get_with_model(self, key: str) -> Answer | None:
        """Return a stored answer, and who gave it."""
        try:
            found: Answer | None = ray.get(self._keeper.get_with_model.remote(self.path, key))
        except RayError as error:
            self._warn_once(error)
            return None
        return found

    async def claim(self, key: str) -> Answer | None:
        """Return a stored answer, or that of another task that is asking; None if the caller has to ask."""
        if self._life is None:
            self._life = asyncio.ensure_future(self._show_life())
        try:
            found: Answer | None = await self._keeper.claim.remote(self.path, key, self._claimant)
        except RayError as error:
            self._warn_once(error)
            return None
        return found

    def release(self, key: str) -> None:
        """Let another task ask, because no answer has come."""
        self._keeper.release.remote(self.path, key, self._claimant)

    async def _show_life(self) -> None:
        # It ends with the event loop. If the loop hangs, other tasks ask after a while.
        while True:
            self._keeper.hear.remote(self._claimant)
            await asyncio.sleep(POLL_S)

    def put(
        self, key: str, text: str, usage: tuple[int | None, int | None] = (None, None), *, model: str | None = None
    ) -> None:
        """Store an answer. Afterwards it is on the driver's disk, or is counted as a failed write."""
        try:
            stored = ray.get(self._keeper.put.remote(self.path, key, text, usage, model))
        except RayError as error:
            self._warn_once(error)
            stored = False
        self.write_failures += not stored

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the answers that are stored under these keys, by key."""
        try:
            found: dict[str, str] = ray.get(self._keeper.get_many.remote(self.path, keys))
        except RayError as error:
            self._warn_once(error)
            return {}
        return found

    def put_many(self, answers: Mapping[str, str], *, model: str | None = None) -> None:
        """Store answers by their keys; see `put`."""
        try:
            stored = ray.get(self._keeper.put_many.remote(self.path, answers, model))
        except RayError as error:
            self._warn_once(error)
            stored = False
        self.write_failures += 0 if stored else len(answers)

    def close(self) -> None:
        """Drop the claims. The journal stays open, because other tasks use it."""
        if self._life is not None:
            self._keeper.end.remote(self._claimant)

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                f"The answer cache on the driver's machine does not respond ({type(error).__name__}). The next run of "
                "the recipe computes or pays again for answers that are not stored."
            )


@dataclass(frozen=True)
class JournalPlace:
    """The folders of journals on the driver's machine.

    :param folder: the driver's working directory, for relative paths.
    :param cache: folder of the default journal, for recipes that name none.
    """

    folder: str
    cache: str

    def file(self, cache_path: str, file_name: str) -> str:
        """Return the path of a journal on the driver's machine.

        :param cache_path: what the recipe says: a file, a folder for it, or `auto`.
        :param file_name: name of the file in the default folder.
        """
        if cache_path == CACHE_AUTO:
            return os.path.join(self.cache, file_name)
        return cache_path if cache_path.startswith("~") else os.path.join(self.folder, cache_path)


def keep_journals() -> JournalPlace:
    """Start to keep the cluster's journals on this machine, the driver's. Return where they are."""
    kept_actor(_NAME, _JournalKeeper, os.path.expanduser("~"))
    return JournalPlace(os.getcwd(), str(default_cache_path().parent))


def use_kept_journals(place: JournalPlace | None) -> None:
    """Make this worker process open its journals on the driver's machine.

    :param place: what `keep_journals` returned on the driver; None: journals are on this machine.
    """
    if place is None:
        share_journals(None)
        return
    keeper = ray.get_actor(_NAME)
    task = ray.get_runtime_context().get_task_id() or _PROCESS

    def open_kept(cache_path: str, create: bool, file_name: str) -> ClusterJournal:
        return ClusterJournal(keeper, task, place.file(cache_path, file_name), create, file_name)

    share_journals(open_kept)
