"""One token budget for all tasks of an operator: an actor grants tokens request by request.

So `max_total_tokens` applies to the whole run, for any division of the rows into blocks.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.usage import TokenBudget

_WAITING = 10_000  # requests that may wait for tokens at the same time


@ray.remote(num_cpus=0, max_concurrency=_WAITING)
class _BudgetKeeper:
    """Holds a budget and the reserve of each task.

    :param limit: tokens in all.
    """

    def __init__(self, limit: int) -> None:
        self._budget = TokenBudget(limit)
        self._reserved: Counter[str] = Counter()
        self._holder_of: dict[str, str] = {}

    async def start(self, task: str, holder: str) -> None:
        """Register a task. If it starts again, its worker was lost, and its reserve counts as spent."""
        lost = self._reserved.pop(self._holder_of.get(task, ""), 0)
        self._budget.settle(lost, lost)
        self._holder_of[task] = holder

    async def reserve(self, holder: str, tokens: int) -> bool:
        fits = await self._budget.reserve(tokens)
        if fits:
            self._reserved[holder] += tokens
        return fits

    async def overdrawn(self) -> bool:
        return await self._budget.overdrawn()

    async def lose(self, tokens: int) -> None:
        self._budget.lose(tokens)

    async def settle(self, holder: str, reserved: int, used: int) -> None:
        if self._reserved[holder] < reserved:  # its task has started again: this is spent already
            return
        self._reserved[holder] -= reserved
        self._budget.settle(reserved, used)


@dataclass(frozen=True)
class BudgetPlace:
    """The budgets of an operator's engines, for a task.

    :param keepers: an actor for each engine that has a budget, by the engine's number.
    """

    keepers: tuple[tuple[int, Any], ...] = ()


class SharedBudget:
    """A task's view of a budget; see `TokenBudget`.

    :param keeper: the actor that holds it.
    :param task: id of the task; it stays the same when Ray runs the task again.
    """

    limited = True

    def __init__(self, keeper: Any, task: str) -> None:
        self.task = task
        self._keeper = keeper
        self._holder = uuid.uuid4().hex
        ray.get(keeper.start.remote(task, self._holder))

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside; see `TokenBudget`."""
        return bool(await self._keeper.reserve.remote(self._holder, tokens))

    async def overdrawn(self) -> bool:
        """Return whether calls took more than their reserve."""
        return bool(await self._keeper.overdrawn.remote())

    def lose(self, tokens: int) -> None:
        """Count tokens of a call without an answer."""
        self._keeper.lose.remote(tokens)

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve with the tokens that the request used."""
        self._keeper.settle.remote(self._holder, reserved, used)


def share_budgets(engines: Sequence[LLMEngine]) -> BudgetPlace:
    """Start actors that hold the budgets of some engines; called on the driver.

    :param engines: of one operator.
    :return: the budgets for the tasks; the actors live as long as this object is referenced.
    """
    limits = [(number, engine.settings.max_total_tokens) for number, engine in enumerate(engines)]
    return BudgetPlace(
        tuple((number, _BudgetKeeper.remote(limit)) for number, limit in limits if limit is not None)  # type: ignore[attr-defined]
    )


def spend_from(place: BudgetPlace, engines: Sequence[LLMEngine]) -> None:
    """Make the engines of a task use the shared budgets.

    :param place: what `share_budgets` returned on the driver.
    :param engines: of the operator as the task has it.
    """
    task = ray.get_runtime_context().get_task_id() or ""
    for number, keeper in place.keepers:
        known = engines[number].budget
        # If a task has several batches, the second continues with the budget of the first.
        if not isinstance(known, SharedBudget) or known.task != task:
            engines[number].budget = SharedBudget(keeper, task)
