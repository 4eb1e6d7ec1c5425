"""Claims on questions: if several tasks have the same question at the same moment, one asks and the others wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from mergeit_ops.distributed.holders import POLL_S, Holders

__all__ = ["Answer", "Claimant", "Claims"]

Answer = tuple[str, "str | None"]
"""The text of an answer, and the model that gave it, if it is known."""


class Claimant(NamedTuple):
    """One run of an engine.

    :param task: id of its task; it stays the same when Ray runs the task again.
    :param holder: name of the process in this task.
    :param run: name of the run.
    """

    task: str
    holder: str
    run: str


@dataclass
class _Claim:
    owner: Claimant
    waiting: deque[tuple[Claimant, asyncio.Future[Answer | None]]] = field(default_factory=deque)


class Claims:
    """The questions that are being asked, inside an actor.

    A run may have many questions under way. One that waits for another run has no claim, and one with a claim waits
    only for the server. So no two runs wait for each other.
    """

    def __init__(self) -> None:
        self._claims: dict[Hashable, _Claim] = {}
        self._holders = Holders()
        self._ended: set[str] = set()

    async def claim(self, key: Hashable, claimant: Claimant) -> Answer | None:
        """Claim a question, or wait for another run that has claimed it.

        :param key: of the question.
        :param claimant: who wants to ask.
        :return: the answer of the other run; None if the claimant has to ask.
        """
        self.hear(claimant)
        if self._gone(claimant):
            # The message has come too late. Nobody asks.
            return None
        claim = self._claims.setdefault(key, _Claim(claimant))
        if claim.owner == claimant:
            return None
        answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        claim.waiting.append((claimant, answer))
        while not answer.done():
            await asyncio.wait([answer], timeout=POLL_S)
            if not answer.done() and self._gone(claim.owner):
                self._pass_on(key)
        return answer.result()

    def answered(self, key: Hashable, answer: Answer) -> None:
        """Give an answer to all that wait for it.

        :param key: of the question.
        :param answer: to it.
        """
        claim = self._claims.pop(key, None)
        for _, waiting in () if claim is None else claim.waiting:
            waiting.set_result(answer)

    def release(self, key: Hashable, claimant: Claimant) -> None:
        """Let the next run ask, because the one with the claim has got no answer.

        :param key: of the question.
        :param claimant: who has the claim.
        """
        if key in self._claims and self._claims[key].owner == claimant:
            self._pass_on(key)

    def hear(self, claimant: Claimant) -> None:
        """Record that a process lives.

        :param claimant: one of its runs.
        """
        replaced = self._holders.start(claimant.task, claimant.holder)
        if replaced is not None:
            self._drop(lambda other: other.holder == replaced)

    def end(self, claimant: Claimant) -> None:
        """Drop the claims of a run that has ended.

        :param claimant: the run.
        """
        self._ended.add(claimant.run)
        self._drop(lambda other: other.run == claimant.run)

    def _gone(self, claimant: Claimant) -> bool:
        return claimant.run in self._ended or self._holders.lost(claimant.holder)

    def _drop(self, whose: Callable[[Claimant], bool]) -> None:
        for key, claim in list(self._claims.items()):
            for claimant, waiting in claim.waiting:
                if whose(claimant):
                    waiting.set_result(None)
            claim.waiting = deque((claimant, waiting) for claimant, waiting in claim.waiting if not whose(claimant))
            if whose(claim.owner):
                self._pass_on(key)

    def _pass_on(self, key: Hashable) -> None:
        claim = self._claims[key]
        while claim.waiting:
            claim.owner, waiting = claim.waiting.popleft()
            waiting.set_result(None)
            if not self._gone(claim.owner):
                return
        del self._claims[key]
