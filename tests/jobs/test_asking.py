"""What jobs with one engine tell of it, and how many rows are asked about together."""

import pytest

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.dataset.tables import READ_ROWS
from mergeit_ops.errors import TooManyFailuresError
from mergeit_ops.jobs.asking import EngineJob, rows_at_once
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings
from tests.llm_server import FakeLLMServer


class Asking(EngineJob):
    def __init__(self, engine, dry_run=False, plan=None):
        self.engine = engine
        self.dry_run = dry_run
        self.plan = plan or {}


def engine_at(url):
    return build_engine(LLMSettings(model_params={"base_url": url}, cache_path=None, try_num=1))


def unread(text):
    raise ReplyError(FailureReason.UNPARSABLE)


def request(parse=str):
    return LLMRequest(tag=1, messages=({"role": "user", "content": "?"},), parse=parse)


def test_a_job_that_has_asked_tells_its_calls_and_their_counters():
    with FakeLLMServer(lambda body: "yes") as server:
        job = Asking(engine_at(server.base_url))
        assert job.account() == ({}, {})
        job.finish()
        job.engine.run([request()], lambda outcome: None)
        job.finish()
    figures, details = job.account()
    assert job.engines == [job.engine]
    assert figures["calls"] == details["usage"]["requests"] == 1


def test_a_dry_run_has_no_engine_and_tells_what_it_would_take():
    job = Asking(engine_at("http://127.0.0.1:9/v1"), dry_run=True)
    assert job.engines == []
    job.plan = job.engine.plan([request()])
    figures, details = job.account()
    assert (figures["planned_calls"], figures["planned_cache_hits"], details) == (1, 0, {})
    job.finish()


def test_at_the_end_a_few_failures_are_too_many_if_nothing_else_has_come():
    with FakeLLMServer(lambda body: "yes") as server:
        job = Asking(engine_at(server.base_url))
        job.engine.run([request(unread)], lambda outcome: None, more_to_come=True)
        with pytest.raises(TooManyFailuresError):
            job.finish()


def test_rows_that_wait_for_batches_wait_together():
    online, batch = build_engine(LLMSettings()), build_engine(LLMSettings(api_mode="batch"))
    assert rows_at_once([]) == rows_at_once([online]) == READ_ROWS
    assert rows_at_once([online, batch]) == 50_000
