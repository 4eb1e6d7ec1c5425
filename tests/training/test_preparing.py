"""From files to an experiment: budgets, and what the user is told before the work."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.preparing import budget_of, description_of, notes_on, prepared
from tests.recipe_runs import write_jsonl
from tests.training.tiny_experiment import rows, student

LAYOUT = {"name": "auto"}


@pytest.fixture(scope="module")
def one():
    return student()


def files(tmp_path, **sets):
    return {name: write_jsonl(tmp_path / f"{name}.jsonl", content) for name, content in sets.items()}


def read(one, tmp_path, **sets):
    given = files(tmp_path, pool=rows(200), held=rows(20, seed=9), **sets)
    encoder = RowEncoder(one.tokenizer, 128)
    heard: list[str] = []
    found = prepared([given[name] for name in sets], [given["pool"]], given["held"], LAYOUT, encoder, heard.append)
    return found, encoder


def test_the_budget_is_that_of_the_smallest_set_and_leaves_twice_as_much_in_the_pool(one, tmp_path):
    found, _ = read(one, tmp_path, small=rows(10, seed=1), large=rows(60, seed=2))
    assert budget_of(found, None) == found.sets[0][1].of_draw(0).answer_tokens
    assert budget_of(found, 50) == 50
    most = found.pools.of_draw(0).answer_tokens // 2
    assert budget_of(found, most) == most
    with pytest.raises(DatasetError, match=f"lower it to at most {most:,}"):
        budget_of(found, most + 1)
    larger, _ = read(one, tmp_path, larger=rows(190, seed=3))
    assert budget_of(larger, None) == larger.pools.of_draw(0).answer_tokens // 2


def test_held_out_rows_are_taken_from_everything_else(one, tmp_path):
    held = rows(20, seed=9)
    found, encoder = read(one, tmp_path, leaks=[*held[:5], *rows(10, seed=1)])
    assert found.sets[0][1].of_draw(0).read.asks_held_out == 5
    assert "leaks.jsonl: 5 rows with the question of a held-out row, left out." in list(notes_on(found, encoder, 50))


def test_notes_say_how_rows_meet_the_budget(one, tmp_path):
    found, encoder = read(one, tmp_path, small=rows(10, seed=1), large=rows(60, seed=2))
    tokens = found.sets[0][1].of_draw(0).answer_tokens
    told = "\n".join(notes_on(found, encoder, 2 * tokens))
    assert "each training repeats them 2.00 times" in told

    assert "each draw takes" in told
    assert "each training uses all of them" in "\n".join(notes_on(found, encoder, tokens))
    half = found.pools.of_draw(0).answer_tokens // 2
    assert "its draws share many of their rows" in "\n".join(notes_on(found, encoder, half))


def test_too_few_held_out_rows_are_refused(one, tmp_path):
    given = files(tmp_path, pool=rows(50), held=rows(3, seed=9), a=rows(10, seed=1))
    with pytest.raises(DatasetError, match="has 3 rows that can be measured; give at least 10"):
        prepared([given["a"]], [given["pool"]], given["held"], LAYOUT, RowEncoder(one.tokenizer, 128), print)


def test_a_description_is_that_of_student_and_held_out_rows_and_not_of_sets(one, tmp_path):
    found, _ = read(one, tmp_path, small=rows(10, seed=1))
    other, _ = read(one, tmp_path, large=rows(30, seed=2))
    description = description_of(one, found, 100, 42)
    assert description == description_of(one, other, 100, 42)
    assert description != description_of(one, found, 101, 42)
    assert description != description_of(one, found, 100, 43)


def test_several_pools_share_a_budget_and_are_told_where_they_share_rows(one, tmp_path):
    (tmp_path / "own").mkdir()
    pools = [rows(60, seed=1), [*rows(40, seed=2), *rows(60, seed=1)[:7]]]
    paths = [write_jsonl(tmp_path / f"{number}.jsonl", content) for number, content in enumerate(pools)]
    for number, content in enumerate(pools):
        write_jsonl(tmp_path / "own" / f"{number}.jsonl", content[: 20 - 10 * number])
    held, encoder = write_jsonl(tmp_path / "held.jsonl", rows(20, seed=9)), RowEncoder(one.tokenizer, 128)
    found = prepared([tmp_path / "own"], paths, held, LAYOUT, encoder, lambda _: None)
    ((name, own),) = found.sets
    assert (name, [len(part.rows) for part in own]) == ("own", [20, 10])
    assert budget_of(found, None) == own.of_draw(1).answer_tokens
    with pytest.raises(DatasetError, match=r"1\.jsonl has"):
        budget_of(found, found.pools.of_draw(0).answer_tokens // 2)
    told = list(notes_on(found, encoder, 20))
    assert any(line.startswith("7 of the 100 rows are in several pools") for line in told)
    assert any(line.startswith("own, 1.jsonl: 10 rows") for line in told)
