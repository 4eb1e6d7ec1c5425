"""Pages of a dataset's files: handed back, and read again where they are needed."""

import os
from pathlib import Path

import pytest
from datasets import Dataset

from mergeit_ops.dataset.page_cache import release_pages
from mergeit_ops.dataset.tables import RowReader, iter_tables, write_dataset


def mapped_bytes(path: str) -> int:
    """Return how much of a file is in this process's memory."""
    resident, counting = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            counting = line.endswith(path)
        elif counting and line.startswith("Rss:"):
            resident += int(line.split()[1]) * 1024
    return resident


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="the system does not tell")
def test_pages_are_given_back_and_what_points_to_them_stays_whole():
    memory = Dataset.from_dict({"text": [f"{i:04d}" * 1_000 for i in range(2_000)]})
    dataset = write_dataset(iter_tables(memory), memory.features)
    path = os.path.realpath(dataset.cache_files[0]["filename"])
    table = RowReader(dataset).slice(0, len(dataset))
    assert table["text"].to_pylist() == memory["text"][:]
    before = mapped_bytes(path)
    assert before > 7_000_000
    release_pages(dataset)
    assert mapped_bytes(path) < before / 10
    assert table["text"].to_pylist() == memory["text"][:]


def test_a_dataset_in_memory_has_nothing_to_give_back():
    dataset = Dataset.from_dict({"text": ["a"]})
    release_pages(dataset)
    assert dataset["text"][:] == ["a"]
