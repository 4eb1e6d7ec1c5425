"""The entry point of the LLM stage: it takes requests and returns parsed answers, and handles all failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeVar

from loguru import logger

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.text.counts import agree
from mergeit_ops.errors import LLMError, TooManyFailuresError
from mergeit_ops.llm.advice import about_the_journal
from mergeit_ops.llm.backend import BackendFactory, find_backend
from mergeit_ops.llm.journal import Journal, answer_key
from mergeit_ops.llm.journals import AnswerStore, open_journal
from mergeit_ops.llm.logprobs import LogprobsFactory
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.prompt_logprobs import PromptLogprobsFactory
from mergeit_ops.llm.refusals import Refusals
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest, expected_completion_tokens, outcome_of
from mergeit_ops.llm.retry import RetryPolicy
from mergeit_ops.llm.running import run_to_end, spared_collections
from mergeit_ops.llm.settings import DEFAULT_SAMPLING_PARAMS, LLMSettings
from mergeit_ops.llm.shared_limits import SharedLimits
from mergeit_ops.llm.stage import Stage
from mergeit_ops.llm.usage import TokenReserve, Usage, estimate_messages

__all__ = ["LLMEngine", "build_engine", "build_logprobs_engine", "build_prompt_logprobs_engine", "told_of_answers"]

T = TypeVar("T")

_FIGURES = ("calls", "cache_hits", "retries", "prompt_tokens", "completion_tokens")
_IF_ANY = (
    "cached_prompt_tokens",
    "lost_prompt_tokens",
    "cache_write_failures",
    "last_errors",
    "answered_as",
    "batches",
    "resubmitted",
)
_COST_DIGITS = 6


class LLMEngine:
    """Sends many requests to a model at once. It holds only plain data, so it can be sent between processes.

    From run to run, it remembers what it spent and whether the server ever answered.

    :param backend_factory: factory of the backend, which is made only if a call is needed.
    :param settings: settings of the runs.
    :param policy: policy for retrying failed calls.
    :param recipe_params: names of the sampling parameters that the recipe sets. A server that refuses one stops a run.
    :param default_params: names of the parameters with our defaults. If a server refuses one, it is no longer sent.
    :param sleep: function that waits some seconds; tests pass one that does not.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        backend_factory: BackendFactory,
        *,
        settings: LLMSettings,
        policy: RetryPolicy | None = None,
        recipe_params: Iterable[str] = (),
        default_params: Iterable[str] = (),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend_factory = backend_factory
        self.settings = settings
        self.policy = policy or RetryPolicy()
        self.recipe_params = frozenset(recipe_params)
        self.default_params = frozenset(default_params)
        self.sleep = sleep
        self.clock = clock
        self.total = Usage()
        self.proven = False
        self.reserve = TokenReserve()
        self.refusals = Refusals()
        self.dropped: set[str] = set()
        self.only_reasoning: set[str] = set()
        self.kept: set[bytes] = set()
        self.shared: SharedLimits | None = None
        """Limits that this engine shares with those of other processes; None: it has only those of its settings."""
        self._looked_for_batches = False
        self.alone = True
        """Whether this engine gets all answers of the run; if not, others may have added answers to the journal."""

    @property
    def model(self) -> str:
        """Name of the model that answers."""
        return str(self.backend_factory.identity()["model"])

    @property
    def asks_a_server(self) -> bool:
        """Whether a run sends requests to a server; False for a local model."""
        return "endpoint" in self.backend_factory.identity()

    def check(self) -> None:
        """Check whether requests can be sent to the server, before any work and without sending anything.

        :raises LLMUnavailableError: if a required key is missing, or if an address, a proxy, a certificate or another
            setting of the environment cannot work.
        """
        check = getattr(self.backend_factory, "check", None)
        # If files are run by hand, this process need not reach a server.
        if check is not None and self.settings.batch_folder is None:
            check()

    def figures(self) -> dict[str, Any]:
        """Return the counters of all runs so far: calls, answers from the journal, retries, tokens.

        `cost` is included if prices are known. `cached_prompt_tokens` and failures (`lost_prompt_tokens`,
        `cache_write_failures`, `last_errors` by reason, `answered_as` by the other model that a server names,
        `dropped_parameters`) are included if there are any.
        """
        total, prices = self.total, self.settings.prices
        figures: dict[str, Any] = {name: getattr(total, name) for name in _FIGURES}
        if prices is not None:
            figures["cost"] = round(total.cost(prices), _COST_DIGITS)
        figures |= {name: value for name in _IF_ANY if (value := getattr(total, name))}
        return figures | ({"dropped_parameters": sorted(self.dropped)} if self.dropped else {})

    def run(
        self,
        requests: Iterable[LLMRequest[T]],
        on_outcome: Callable[[LLMOutcome[T]], LLMRequest[T] | None],
        *,
        total: Callable[[], int | None] = lambda: None,
        more_to_come: bool = False,
    ) -> Usage:
        """Answer requests; return when all are finished.

        The first call is made alone. The others are sent after its answer.

        :param requests: pulled one by one in a separate thread, so that a slow iterator does not delay answers; at most
            twice `max_concurrency` ahead of the outcomes, or eight times for a local model, which batches requests of
            similar length.
        :param on_outcome: called once per request, in the order in which they finish, in the same thread and never
            while `requests` runs. The answers are in the journal by then. If it returns a request, this one is answered
            before others that have not started.
        :param total: function that returns the number of requests, for the progress display; None as long as it is
            unknown.
        :param more_to_come: whether more runs of the same work follow, so that a few failures at the end of this one
            say little.
        :return: the counters of this run.
        :raises LLMUnavailableError: if no call can succeed: the key is wrong, the model is unknown, nobody listens, the
            first calls give no usable answer or are refused in the same words, or the server is gone, loads its model
            or asks to wait for longer than the policy allows. Later, if a few requests in a row are refused because of
            key, model, rate or missing credit.
        :raises TooManyFailuresError: if more than `max_failure_ratio` of at least 20 requests have failed, or if there
            are fewer and all have failed at the end of the work.
        """
        usage = Usage()
        start = time.monotonic()
        progress = Progress(usage, total, prices=self.settings.prices)
        journal = open_journal(self.settings.cache_path)
        stopped: LLMError | None = None
        try:
            stage: Stage[T] = self._stage(usage, journal, progress)
            with spared_collections():
                run_to_end(lambda: stage.answer_all(requests, on_outcome, more_to_come=more_to_come))
        except LLMError as error:
            stopped = error
        finally:
            progress.close()
            if journal.write_failures:
                # The answers of a journal that was set aside are no longer available.
                self.kept = {key for key in self.kept if journal.get(key.hex()) is not None}
            journal.close()
            usage.cache_write_failures = journal.write_failures
            usage.seconds = time.monotonic() - start
            self.total.add(usage)
            self.total.kept = len(self.kept)
        if stopped is not None:
            # Only the message is shown, because a traceback of the event loop would hide it.
            journaled = self.settings.cache_path is not None
            raise told_of_answers(stopped, self.total.as_dict(), journal=journaled, at_least=not self.alone)
        return usage

    def _stage(self, usage: Usage, journal: AnswerStore, progress: Progress) -> Stage[T]:
        if self.settings.api_mode == "online":
            self._warn_of_batches(journal)
            return Stage(self, usage, journal, progress)
        # Imported here because most runs do not need it.
        from mergeit_ops.llm.batches.stage import BatchStage

        return BatchStage(self, usage, journal, progress)

    def _warn_of_batches(self, journal: AnswerStore) -> None:
        if self._looked_for_batches or not self.asks_a_server or not isinstance(journal, Journal):
            return
        self._looked_for_batches = True
        from mergeit_ops.llm.batches.ledger import batches_under_way

        number = 0 if journal.path is None else batches_under_way(journal.path)
        if number:
            logger.warning(
                f"{number} {agree(number, 'batch is', 'batches are')} under way (`python -m mergeit_ops batch "
                "list`), and an online run pays again "
                "for what it asks of them: to take their answers, run the recipe with api_mode: batch first."
            )

    def plan(
        self, requests: Iterable[LLMRequest[T]], on_outcome: Callable[[LLMOutcome[T]], None] = lambda outcome: None
    ) -> dict[str, Any]:
        """Return the plan of a run, without a call and without a key.

        Answers that have to be requested again cannot be predicted; they add to the plan.

        :param requests: requests of the run.
        :param on_outcome: called with the outcome of each request that the journal settles.
        :return: `requests`, `calls` (answers that are not in the journal), `cache_hits`, the estimated `prompt_tokens`
            and `completion_tokens` of the calls, and their `cost` if prices are known. `fixed_prompt_tokens` are the
            prompt tokens that are the same in every request, if the requests know them.
        """
        figures: dict[str, Any] = dict.fromkeys(
            ("requests", "calls", "cache_hits", "prompt_tokens", "completion_tokens"), 0
        )
        sampling_params = self.backend_factory.sampling_params
        seen: set[str] = set()
        with closing(open_journal(self.settings.cache_path, create=False)) as journal:
            for request in requests:
                figures["requests"] += 1
                found: list[T | FailureReason] = []
                for candidate in range(request.num_candidates):
                    key, known = self._next_key(journal, request, candidate)
                    found += [] if known is None else [known]
                    if known is not None or key in seen:
                        figures["cache_hits"] += 1
                        continue
                    if journal.path is not None:
                        seen.add(key)
                    figures["calls"] += 1
                    figures["prompt_tokens"] += estimate_messages(request.messages)
                    if request.fixed_tokens is not None:
                        figures["fixed_prompt_tokens"] = figures.get("fixed_prompt_tokens", 0) + request.fixed_tokens
                    figures["completion_tokens"] += expected_completion_tokens(request, sampling_params)
                if len(found) == request.num_candidates:
                    on_outcome(outcome_of(request.tag, found))
        if self.settings.prices is not None:
            cost = self.settings.prices.cost(figures["prompt_tokens"], figures["completion_tokens"])
            figures["cost"] = round(cost, _COST_DIGITS)
        return figures

    def _next_key(self, journal: AnswerStore, request: LLMRequest[Any], candidate: int) -> tuple[str, Any]:
        """Return the key of the next question, and the answer in the journal or why there is none.

        The second is None if a call has to be made.
        """
        identity, sampling_params = self.backend_factory.identity(), self.backend_factory.sampling_params
        asked, reason = request, FailureReason.UNPARSABLE
        for _ in range(self.settings.try_num):
            key = answer_key(identity, asked.messages, sampling_params, candidate)
            text = journal.get(key)
            if text is None:
                return key, None
            try:
                answer = request.parse(text)
            except ReplyError as error:
                if not error.correction:
                    return key, None
                asked, reason = request.corrected(text, error.correction), error.reason
            else:
                return key, answer
        return key, reason


def told_of_answers(stopped: LLMError, usage: Mapping[str, Any], *, journal: bool, at_least: bool = False) -> LLMError:
    """Return the error with a sentence about the answers that arrived before it.

    :param stopped: error that stopped the run.
    :param usage: counters of all requests, as `Usage.as_dict` returns them.
    :param journal: whether the run has a journal.
    :param at_least: whether other tasks of the run may have added more answers.
    """
    why = stopped.reason or str(stopped)
    answers = about_the_journal(
        usage.get("answered", 0),
        usage.get("kept", 0),
        usage.get("cache_write_failures", 0),
        journal=journal,
        at_least=at_least,
    )
    if not answers and not at_least and isinstance(stopped, TooManyFailuresError):
        answers = "No answer has arrived that could be stored in the journal (cache_path)."
    told = type(stopped)(f"{why} {answers}".rstrip())
    told.reason = why
    return told


def build_engine(
    settings: LLMSettings,
    *,
    accelerator: str | None = None,
    default_sampling_params: Mapping[str, Any] = DEFAULT_SAMPLING_PARAMS,
) -> LLMEngine:
    """Make an engine; nothing is opened or loaded before it runs.

    :param settings: settings of model and runs. A `response_format` in `sampling_params` is sent unchanged, without a
        search for one that the server accepts.
    :param accelerator: `cpu` or `cuda` for a local model; None: a GPU if there is one.
    :param default_sampling_params: used if the settings have none. If a server refuses one, it is left out.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed, and what was given.
    """
    own = settings.sampling_params
    settings = replace(settings, sampling_params=dict(default_sampling_params if own is None else own))
    backend = settings.backend or ("huggingface" if settings.is_hf_model else "openai")
    factory = find_backend(backend).from_settings(settings, accelerator)
    if own is None:
        return LLMEngine(factory, settings=settings, default_params=default_sampling_params)
    return LLMEngine(factory, settings=settings, recipe_params={**own, **(own.get("extra_body") or {})})


def build_logprobs_engine(settings: LLMSettings, top_logprobs: int = 20) -> LLMEngine:
    """Make an engine whose answers are the log-probabilities of the first token, as JSON; nothing is opened yet.

    A question is asked only once, because the same question gives the same numbers.

    :param settings: as for `build_engine`; an `api_endpoint` of None means `/completions`.
    :param top_logprobs: number of tokens whose log-probability is requested, at least 6.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed, and what was given.
    """
    factory = LogprobsFactory.from_settings(settings, top_logprobs=top_logprobs)
    # Only one token is read, and its log-probabilities do not depend on the temperature.
    return LLMEngine(factory, settings=replace(settings, try_num=1), default_params=("temperature",))


def build_prompt_logprobs_engine(settings: LLMSettings) -> LLMEngine:
    """Make an engine whose answers are the log-probabilities of the tokens of a prompt; nothing is opened yet.

    :param settings: as for `build_logprobs_engine`.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed, and what was given.
    """
    factory = PromptLogprobsFactory.from_settings(settings)
    # The first answer shows whether the server can return what is needed. Nothing else is paid for before.
    settings = replace(settings, try_num=1, warm_up=True)
    return LLMEngine(factory, settings=settings, default_params=("temperature",))
