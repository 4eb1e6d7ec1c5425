"""The files and batches of a server."""

from __future__ import annotations

import asyncio
import json

import pytest

from mergeit_ops.llm.batches.lines import BatchFile, request_line
from mergeit_ops.llm.batches.service import BatchService, BatchUncertainError
from mergeit_ops.llm.connection import open_connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from tests.batch_server import FakeBatchServer, Fate
from tests.llm.conftest import FAST
from tests.llm_server import Reply, error

FILE = BatchFile((request_line("k", "/chat/completions", {"messages": [{"content": "é\u2028"}]}),))


def with_service(server, use):
    async def main():
        service = BatchService(open_connection({"base_url": server.base_url}, 10.0), FAST, asyncio.sleep)
        try:
            return await use(service)
        finally:
            await service.aclose()

    return asyncio.run(main())


def test_a_file_becomes_a_batch_and_the_batch_becomes_files():
    async def use(service):
        file = await service.upload(FILE, "tag")
        made = await service.create(file, "/chat/completions", "24h", "tag")
        assert (made.status, made.is_final, made.total) == ("in_progress", False, 1)
        await service.state(made.id)
        state = await service.state(made.id)
        assert (state.status, state.is_final, len(state.files)) == ("completed", True, 1)
        return file, await service.content(state.files[0])

    with FakeBatchServer(lambda _: "é") as server:
        file, content = with_service(server, use)
        assert server._files[file] == FILE.content
    assert json.loads(content)["custom_id"] == "k"


def test_a_batch_is_found_by_its_file_or_its_tag_among_many():
    async def use(service):
        file = await service.upload(FILE, "tag")
        made = [await service.create(file, "chat/completions", "24h", f"tag-{number}") for number in range(3)]
        assert await service.find("file-unknown", "tag-unknown") is None
        assert (await service.find("file-unknown", "tag-1")).id == made[1].id
        assert (await service.find(file, "tag-unknown")).id in {one.id for one in made}

    with FakeBatchServer() as server:
        with_service(server, use)


def test_a_batch_whose_making_is_not_confirmed_is_looked_for_before_it_is_made_again():
    async def use(service):
        return await service.create(await service.upload(FILE, "t"), "/chat/completions", "24h", "t")

    with FakeBatchServer(fates=[Fate(lose_created=True)]) as server:
        assert with_service(server, use).id == "batch_0"
        assert len(server.submitted) == 1
    failures = iter([error(500)])
    with FakeBatchServer(
        fail=lambda method, path: next(failures, None) if (method, path) == ("POST", "/batches") else None
    ) as server:
        assert with_service(server, use).id == "batch_0"


def test_why_a_batch_failed_is_told_without_secrets(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecret123")

    async def use(service):
        made = await service.create(await service.upload(FILE, "t"), "/chat/completions", "24h", "t")
        return await service.state((await service.state(made.id)).id)

    fate = Fate("failed", errors=[("bad_key", "key sk-verysecret123 is bad")])
    with FakeBatchServer(fates=[fate]) as server:
        assert with_service(server, use).errors == (("bad_key", "key *** is bad"),)


@pytest.mark.parametrize("payload", [{}, {"id": None}, {"id": "x"}, {"id": "x", "status": ""}])
def test_a_description_without_id_or_status_is_a_failure(payload):
    async def use(service):
        return await service.create("file-0", "/chat/completions", "24h", "t")

    def fail(method, path):
        return Reply(payload=payload if method == "POST" else {"object": "list", "data": [], "has_more": False})

    with FakeBatchServer(fail=fail) as server, pytest.raises(BatchUncertainError, match="no id or status"):
        with_service(server, use)


def test_an_unknown_batch_is_not_found():
    with FakeBatchServer() as server, pytest.raises(CallFailedError) as caught:
        with_service(server, lambda service: service.state("batch_9"))
    assert caught.value.kind is FailureKind.NOT_FOUND
