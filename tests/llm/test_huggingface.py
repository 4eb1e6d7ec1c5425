"""Causal language models of Hugging Face: loaded once per process, run within the memory there is."""

from types import SimpleNamespace

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.huggingface import checked_model_params, context_length, in_halves, is_out_of_memory, loaded_once
from mergeit_ops.worker import Kept, worker

FULL = RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")


def run_up_to(most):
    """Return a function that runs batches up to a size, and the sizes that it has run."""
    sizes = []

    def run(items):
        if len(items) > most:
            raise FULL
        sizes.append(len(items))
        return [item * 2 for item in items]

    return run, sizes


@pytest.mark.parametrize(("items", "most", "batches"), [(5, 9, [5]), (3, 2, [1, 2]), (1, 1, [1])])
def test_a_batch_that_is_too_much_is_run_in_halves_and_stays_in_order(items, most, batches):
    run, sizes = run_up_to(most)
    too_many = []
    assert in_halves(range(items), run, lambda batch: too_many.append(len(batch))) == [2 * n for n in range(items)]
    assert sizes == batches
    assert all(size > most for size in too_many)


def test_one_item_that_is_too_much_and_any_other_error_are_raised():
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        in_halves([1], run_up_to(0)[0])

    def fails(items):
        raise ValueError("other")

    with pytest.raises(ValueError, match="other"):
        in_halves([1, 2], fails)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (FULL, True),
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("CUDA out of memory"), False),
    ],
)
def test_memory_that_does_not_suffice_is_known_in_every_form(error, full):
    assert is_out_of_memory(error) is full


def test_a_model_is_loaded_once_and_an_error_is_not_kept(monkeypatch):
    monkeypatch.setattr(worker, "models", Kept(2))
    loads = []

    def load():
        loads.append(1)
        if len(loads) == 1:
            raise ValueError("not yet")
        return "model"

    with pytest.raises(ValueError, match="not yet"):
        loaded_once("a", load)
    assert [loaded_once("a", load) for _ in range(3)] == ["model"] * 3
    assert len(loads) == 2


def test_kept_models_make_room_for_another_where_memory_does_not_suffice(monkeypatch):
    monkeypatch.setattr(worker, "models", Kept(2))
    loaded_once("a", lambda: "first")
    tries = []

    def load():
        tries.append(1)
        if len(tries) == 1:
            raise FULL
        return "second"

    assert loaded_once("b", load) == "second"
    assert loaded_once("a", lambda: "loaded again") == "loaded again"


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 128}, 128),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": "many"}, None),
        ({}, None),
    ],
)
def test_a_model_says_how_much_it_can_read(config, length):
    assert context_length(SimpleNamespace(**config)) == length


def test_arguments_of_a_model_are_a_mapping_without_secrets():
    assert checked_model_params("op", None) == {}
    assert checked_model_params("op", {"revision": "main"}) == {"revision": "main"}
    for bad in (["revision"], ["ab"], "main", {"dtype": "float16"}, {"token": "hf_0123456789abcdefghij"}):
        with pytest.raises(RecipeError, match="op: ") as caught:
            checked_model_params("op", bad)
        assert "0123456789" not in str(caught.value)
