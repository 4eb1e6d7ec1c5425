"""Whole runs with a key: the server gets the key, but no log, file or message contains it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from mergeit_ops.core.columns import META
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer
from tests.recipe_runs import read_jsonl, run_command, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline

# This key does not look like a key.
KEY = "Quiet-Harbour-8841-lantern"


class Telltale(FakeLLMServer):
    """A server whose errors repeat the header with the key. It fails all requests, or a third of them."""

    def __init__(self, *, always: bool) -> None:
        super().__init__(self._answer_or_tell)
        self._always = always

    def _answer_or_tell(self, body: dict[str, Any]) -> str | Reply:
        sent = self.headers[-1]["authorization"]
        assert sent == f"Bearer {KEY}"
        if self._always:
            return error(401, f"this is not known: {sent}", code=KEY, param=KEY)
        number = len(self.requests)
        if number % 6 == 2:
            return error(400, f"you sent {sent}", code=KEY, param=KEY)
        if number % 6 == 4:
            return Reply(payload={"error": {"message": f"you sent {sent}", "code": 400, "type": KEY}})
        return merge_answer(body)


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """The whole log, including the variables of every frame of a traceback, as in Data-Juicer's log."""
    text = io.StringIO()
    sink = logger.add(text, level=0, backtrace=True, diagnose=True)
    yield text
    logger.remove(sink)


@pytest.fixture
def folders(tmp_path, monkeypatch) -> dict[str, str]:
    """Make every library keep its files in the test's folder, where the test reads them."""
    places = {
        name: str(tmp_path / name.lower())
        for name in ("HF_HOME", "HF_DATASETS_CACHE", "DATA_JUICER_CACHE_HOME", "MERGEIT_CACHE_DIR", "XDG_CACHE_HOME")
    }
    for name, place in places.items():
        monkeypatch.setenv(name, place)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return places


def assert_nowhere(folder: Path, *texts: str) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {".sqlite3", ".jsonl", ".json", ".yaml"} <= {path.suffix for path in files}
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert all(KEY not in text for text in texts)


def test_a_run_that_fails_in_this_process(tmp_path, data, folders, everything_logged, capfd):
    with Telltale(always=True) as server, pytest.raises(LLMUnavailableError) as caught:
        run_recipe(write_recipe(tmp_path, pipeline(server), data))
    logger.opt(exception=caught.value).error("stopped")
    assert "this is not known: Bearer ***" in str(caught.value)
    assert "this is not known" in everything_logged.getvalue()
    assert_nowhere(tmp_path, str(caught.value), everything_logged.getvalue(), *capfd.readouterr())


def test_a_run_that_comes_to_its_end_in_this_process(tmp_path, data, folders, everything_logged, capfd):
    with Telltale(always=False) as server:
        export = run_recipe(write_recipe(tmp_path, pipeline(server), data, open_tracer=True))
    assert {row[META]["merge_error"] for row in read_jsonl(export)} == {None, "api_failed"}
    assert_nowhere(tmp_path, everything_logged.getvalue(), *capfd.readouterr())


@pytest.mark.parametrize("always", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_as_a_command(always, tmp_path, data, folders):
    with Telltale(always=always) as server:
        recipe = write_recipe(tmp_path, pipeline(server), data, open_tracer=True)
        done = run_command("dj-process", "--config", str(recipe), cwd=tmp_path)
        assert server.requests
    assert done.returncode == always
    assert ("this is not known: Bearer ***" in done.stdout.splitlines()[-1]) == always
    assert os.listdir(folders["HF_DATASETS_CACHE"])
    assert_nowhere(tmp_path, done.stdout)


@pytest.mark.parametrize(
    ("model_params", "where"),
    [
        ({"api_key": KEY}, "model_params.api_key"),
        ({"default_headers": {"Authorization": f"Bearer {KEY}"}}, "model_params.default_headers.Authorization"),
        ({"default_headers": {"x-api-key": KEY}}, "model_params.default_headers.x-api-key"),
        ({"default_query": {"key": KEY}}, "model_params.default_query"),
        ({"base_url": f"http://user:{KEY}@127.0.0.1:9/v1"}, "model_params.base_url"),
        ({"base_url": f"http://127.0.0.1:9/v1?api_key={KEY}"}, "model_params.base_url"),
    ],
)
def test_a_key_in_a_recipe_is_refused_before_any_work(model_params, where, tmp_path, data, everything_logged, capfd):
    process = pipeline()
    process[2]["llm_pair_merger_mapper"] = {"model_params": model_params}
    with pytest.raises(RecipeError) as caught:
        run_recipe(write_recipe(tmp_path, process, data))
    assert f"llm_pair_merger_mapper: {where} looks like a" in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)
    assert not (tmp_path / "out" / "export.jsonl").exists()
