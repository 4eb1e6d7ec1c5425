"""Threads: results in order, torch's threads as before, nothing goes on after a failure."""

import threading

import pytest
import torch

from mergeit_ops.embedding.threads import in_threads


@pytest.fixture(params=[1, 2, 4])
def cores(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_and_torch_keeps_its_threads(cores):
    assert list(in_threads(lambda number: number * number, range(50))) == [number * number for number in range(50)]
    assert torch.get_num_threads() == cores
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert seen == [cores]


def test_what_a_worker_raises_is_raised_and_the_rest_is_not_begun(cores):
    begun = []

    def fail(number):
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(fail, range(1000)))
    assert len(begun) < 1000
    assert torch.get_num_threads() == cores
