"""The files and batches of an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mergeit_ops.llm.batches.lines import BatchFile
from mergeit_ops.llm.connection import Connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.retry import RetryPolicy, call_with_retries

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["MAX_FILE_BYTES", "BatchService", "BatchState", "BatchUncertainError"]

T = TypeVar("T")

MAX_FILE_BYTES = 2**32
"""The largest file of responses that is read."""

_TAG = "mergeit_ops"
_LISTED = 1_000
_FINAL = ("completed", "failed", "expired", "cancelled")


class BatchUncertainError(Exception):
    """A batch may have been made, or not.

    :param failure: of the last call.
    """

    def __init__(self, failure: CallFailedError) -> None:
        super().__init__(failure.detail)
        self.failure = failure


@dataclass(frozen=True)
class BatchState:
    """What a server says of a batch.

    :param id: its id there.
    :param status: `validating`, `in_progress`, `finalizing`, `completed`, `failed`, `expired`, `cancelling` or
        `cancelled`; or a word of the server's own.
    :param files: ids of its files of responses and of errors.
    :param done: requests with a response so far.
    :param total: its requests; 0 if unknown.
    :param errors: why it failed as a whole: code and message of each error.
    """

    id: str
    status: str
    files: tuple[str, ...] = ()
    done: int = 0
    total: int = 0
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _FINAL


class BatchService:
    """Uses files and batches; each failed call is made again as the policy says.

    :param connection: to the server.
    :param policy: when failed calls are retried.
    :param sleep: waits some seconds.
    """

    def __init__(self, connection: Connection, policy: RetryPolicy, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._connection = connection
        self._policy = policy
        self._sleep = sleep

    async def upload(self, file: BatchFile, tag: str) -> str:
        """Upload a file of requests; return its id. It costs nothing until a batch is made of it.

        :param file: the requests.
        :param tag: names the file.
        :raises CallFailedError: if the server does not take it.
        """
        named = (f"{_TAG}-{tag}.jsonl", file.content)
        made = await self._retried(lambda client: client.files.create(file=named, purpose="batch"))
        return str(made.id)

    async def create(self, file_id: str, endpoint: str, window: str, tag: str) -> BatchState:
        """Make a batch of a file, unless there is one.

        :param file_id: of the file.
        :param endpoint: of its requests, below `/v1`.
        :param window: time within which it must be completed, in the server's words.
        :param tag: names the batch.
        :raises CallFailedError: if the server refuses it.
        :raises BatchUncertainError: if it cannot be found out whether there is a batch now.
        """
        url: Any = f"/v1/{endpoint.strip('/')}"
        of_window: Any = window
        uncertain: CallFailedError | None = None
        for attempt in range(self._policy.attempts):
            try:
                made = await self._connection.call(
                    lambda client: client.batches.create(
                        completion_window=of_window, endpoint=url, input_file_id=file_id, metadata={_TAG: tag}
                    )
                )
                return self._state(made)
            except CallFailedError as failure:
                failed = failure
            if not failed.kind.retryable and failed.kind is not FailureKind.UNUSABLE:
                if uncertain is None:
                    raise failed
                break
            uncertain = failed
            await self._sleep(max(min(self._policy.cap_s, self._policy.base_s * 2**attempt), failed.retry_after or 0.0))
            # A lost response does not say whether the batch was made.
            try:
                found = await self.find(file_id, tag)
            except CallFailedError as failure:
                failed = failure
                break
            if found is not None:
                return found
        raise BatchUncertainError(failed)

    async def find(self, file_id: str, tag: str) -> BatchState | None:
        """Look for a batch among the latest ones; None if there is none.

        :param file_id: of its file.
        :param tag: of it.
        :raises CallFailedError: if the server cannot be asked.
        """
        return await self._retried(lambda client: self._look_for(client, file_id, tag))

    async def _look_for(self, client: AsyncOpenAI, file_id: str, tag: str) -> BatchState | None:
        seen = 0
        async for batch in client.batches.list(limit=100):
            metadata = getattr(batch, "metadata", None) or {}
            if getattr(batch, "input_file_id", None) == file_id or metadata.get(_TAG) == tag:
                return self._state(batch)
            seen += 1
            if seen == _LISTED:
                break
        return None

    async def state(self, batch_id: str) -> BatchState:
        """Return what the server says of a batch.

        :param batch_id: its id.
        :raises CallFailedError: if it does not know it, or cannot be asked.
        """
        return self._state(await self._retried(lambda client: client.batches.retrieve(batch_id)))

    async def content(self, file_id: str) -> bytes:
        """Return the content of a file.

        :param file_id: its id.
        :raises CallFailedError: if the server does not have it, or cannot be asked.
        """

        async def read(client: AsyncOpenAI) -> bytes:
            return (await client.files.content(file_id)).content

        return await self._retried(read)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _retried(self, send: Callable[[AsyncOpenAI], Awaitable[T]]) -> T:
        async def attempt() -> T:
            return await self._connection.call(send)

        try:
            return await call_with_retries(
                attempt,
                policy=self._policy,
                proven=lambda: self._connection.answered,
                sleep=self._sleep,
            )
        except CallFailedError as error:
            failure = error
        raise failure

    def _state(self, batch: Any) -> BatchState:
        counts = getattr(batch, "request_counts", None)
        errors = getattr(getattr(batch, "errors", None), "data", None) or ()
        masked = self._connection.masked
        status = str(getattr(batch, "status", "") or "")
        if not getattr(batch, "id", None) or not status:
            raise CallFailedError(FailureKind.TRANSIENT, "the server's description of a batch has no id or status")
        return BatchState(
            id=str(batch.id),
            status=masked(status),
            files=tuple(
                str(file)
                for file in (getattr(batch, "output_file_id", None), getattr(batch, "error_file_id", None))
                if file
            ),
            done=getattr(counts, "completed", None) or 0,
            total=getattr(counts, "total", None) or 0,
            errors=tuple(
                (masked(str(getattr(error, "code", None) or "")), masked(str(getattr(error, "message", None) or "")))
                for error in errors
            ),
        )
