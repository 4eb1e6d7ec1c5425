"""One journal for a whole cluster: on the machine that runs the driver, asked from wherever a task is.

A task that Ray runs again after its node is lost finds what was paid for before, and so does the next run of the
recipe, wherever its tasks land.
"""

from __future__ import annotations

from typing import Any

import ray
from loguru import logger
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.llm.journal import Journal
from mergeit_ops.llm.journals import local_journal, share_journals

_NAME = "mergeit_ops journal"

_keeper: Any = None  # an actor ends when nobody holds it


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class _Keeper:
    """Opens journals on its machine and keeps them open."""

    def __init__(self) -> None:
        self._journals: dict[str, Journal] = {}

    def open(self, cache_path: str, create: bool) -> str:
        return str(self._journal(cache_path, create).path)

    def get(self, cache_path: str, key: str) -> str | None:
        return self._journal(cache_path).get(key)

    def put(self, cache_path: str, key: str, *answer: Any) -> bool:
        journal = self._journal(cache_path)
        failures = journal.write_failures
        text, usage, model = answer
        journal.put(key, text, usage, model=model)
        return journal.write_failures == failures

    def _journal(self, cache_path: str, create: bool = True) -> Journal:
        if cache_path not in self._journals:
            journal = local_journal(cache_path, create)
            if not create:
                return journal
            self._journals[cache_path] = journal
        return self._journals[cache_path]


class ClusterJournal:
    """What a task sees of a journal on the driver's machine; see `Journal`.

    :param keeper: the actor that has it open.
    :param cache_path: what the recipe says.
    :param create: whether to make the file when there is none.
    :raises RecipeError: see `Journal`.
    """

    def __init__(self, keeper: Any, cache_path: str, create: bool = True) -> None:
        self._keeper, self._cache_path = keeper, cache_path
        self.write_failures = 0
        self._warned = False
        with own_errors():
            self.path: str = ray.get(keeper.open.remote(cache_path, create))

    def get(self, key: str) -> str | None:
        """Return a stored answer."""
        try:
            return ray.get(self._keeper.get.remote(self._cache_path, key))
        except RayError as error:
            self._warn_once(error)
            return None

    def put(
        self, key: str, text: str, usage: tuple[int | None, int | None] = (None, None), *, model: str | None = None
    ) -> None:
        """Store an answer; when this returns it is on the driver's disk, or counted as a failed write."""
        try:
            stored = ray.get(self._keeper.put.remote(self._cache_path, key, text, usage, model))
        except RayError as error:
            self._warn_once(error)
            stored = False
        self.write_failures += not stored

    def close(self) -> None:
        """Leave the journal to others."""

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                f"The answer cache on the driver's machine cannot be asked ({type(error).__name__}): answers that are "
                "not stored are paid for again when the recipe is run again."
            )


def keep_journals() -> None:
    """Have this machine, the driver's, hold the journals of the cluster from now on."""
    global _keeper
    try:
        # The one that this process holds: an actor ends with the first handle to it, whoever has others.
        ray.get_actor(_NAME)
    except ValueError:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        _keeper = _Keeper.options(name=_NAME, scheduling_strategy=here).remote()  # type: ignore[attr-defined]


def use_kept_journals() -> None:
    """Have this process, a worker's, open its journals on the driver's machine, where the driver keeps them."""
    try:
        keeper = ray.get_actor(_NAME)
    except ValueError:
        return
    share_journals(lambda cache_path, create: ClusterJournal(keeper, cache_path, create))
