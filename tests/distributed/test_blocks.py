"""Running a function over the blocks of a Ray dataset, and what each task takes of the cluster."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pyarrow as pa
import pytest

from mergeit_ops.distributed import blocks as module
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.rows import ModelUse


def operator(**said):
    """What Data-Juicer's operators say about their tasks."""
    none = {"num_proc": None, "num_cpus": None, "num_gpus": None, "memory": None, "runtime_env": None}
    ways = {"use_ray_actor": lambda: said.get("actor", False), "use_cuda": lambda: said.get("cuda", False)}
    return SimpleNamespace(**none | said, **ways)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, Resources()),
        ({"num_proc": -1}, Resources()),
        ({"num_proc": 3, "num_cpus": 2}, Resources(num_cpus=2, num_proc=3)),
        ({"num_proc": (1, 4), "actor": True}, Resources(num_proc=4, actors=(1, 4))),
        ({"actor": True, "cuda": True, "num_gpus": 0.5}, Resources(num_gpus=0.5, actors=(1, 1), on_gpu=True)),
    ],
)
def test_what_an_operator_says_about_its_tasks_is_kept(said, found):
    assert Resources.of(operator(**said)) == found


def test_options_of_a_task_name_what_is_reserved_only():
    assert Resources().options() == {"num_cpus": 1}
    assert Resources(num_cpus=0).options() == {"num_cpus": 0}
    asked = Resources(num_cpus=2, num_gpus=1, memory=0.5, runtime_env={"env_vars": {"A": "b"}})
    assert asked.options() == {
        "num_cpus": 2,
        "num_gpus": 1,
        "memory": 2**29,
        "runtime_env": {"env_vars": {"A": "b"}},
    }
    assert "num_gpus" not in asked.without_gpus().options()


def slow_first(table, added, own):
    """The first block ends last; a block of 9 gives nothing."""
    numbers = table["n"].to_pylist()
    if numbers[0] == 0:
        time.sleep(0.5)
    return (None if 9 in numbers else pa.table({"n": [number + added for number in numbers]})), (own, len(numbers))


def of_numbers(*blocks):
    import ray

    return Blocks([ray.put(pa.table({"n": list(numbers)})) for numbers in blocks], [len(numbers) for numbers in blocks])


def test_blocks_keep_their_order_whichever_task_ends_first(ray_cluster):
    blocks = of_numbers([0, 1], [], [2], [9], [3, 4, 5])
    assert blocks.rows == [2, 1, 1, 3]
    assert blocks.firsts == [0, 2, 3, 4]
    heard = []
    made, told = blocks.map(slow_first, 10, each="abcd", on_told=heard.append)
    assert [row["n"] for row in made.dataset().take_all()] == [10, 11, 12, 13, 14, 15]
    assert made.rows == [2, 1, 3]
    assert told == [("a", 2), ("b", 1), ("c", 1), ("d", 3)]
    assert heard != told
    assert sorted(heard) == told


def fails_on_two(table):
    if 2 in table["n"].to_pylist():
        raise DatasetError("op: row 2 is no good.")
    return None, None


def test_the_error_of_a_task_arrives_as_it_was_and_no_task_starts_after_it(ray_cluster):
    started = []
    blocks = of_numbers([1], [2], [3], [4])

    def arguments():
        for number in range(4):
            started.append(number)
            yield number

    with pytest.raises(DatasetError, match=r"^op: row 2 is no good\.$"):
        blocks.map(fails_with_argument, each=arguments(), resources=Resources(num_proc=1), in_advance=1)
    assert started == [0, 1]


def fails_with_argument(table, own):
    return fails_on_two(table)


def test_rows_of_a_dataset_come_in_its_order_and_empty_blocks_go(ray_cluster):
    import ray

    dataset = ray.data.from_arrow(
        [pa.table({"n": [3, 1]}), pa.table({"n": pa.array([], pa.int64())}), pa.table({"n": [2]})]
    )
    blocks = Blocks.of(dataset.filter(lambda row: row["n"] != 1))
    assert sum(blocks.rows) == 2
    assert 0 not in blocks.rows
    assert [row["n"] for row in blocks.dataset().take_all()] == [3, 2]


def test_a_model_gets_a_whole_node_and_work_without_one_a_processor(ray_cluster):
    assert Resources(num_gpus=1).of_task(None) == Resources()
    assert Resources().of_task(ModelUse("op", None)).num_cpus == 2
    assert Resources(num_cpus=1).of_task(ModelUse("op", "cpu")).num_cpus == 1
    assert Resources().at_once() == 2
    assert Resources(num_proc=1).at_once() == 1
    assert Resources(num_cpus=2).at_once() == 1


@pytest.mark.parametrize(
    ("resources", "device", "sentence"),
    [
        (
            Resources(),
            "cuda",
            r"op: the model cannot run on the device 'cuda', because the cluster has no GPU\. Set num_gpus",
        ),
        (Resources(num_gpus=0), "cuda", r"op: .*num_gpus is 0"),
        (
            Resources(num_cpus=64),
            "cpu",
            r"op: each task asks for num_cpus 64 and num_gpus 0, but no node .* nodes with 2 CPU and 0 GPU",
        ),
        (Resources(num_gpus=1), None, r"op: each task asks for num_cpus 1 and num_gpus 1"),
    ],
)
def test_what_no_node_has_is_refused_before_ray_waits_for_it(ray_cluster, resources, device, sentence):
    with pytest.raises(RecipeError, match=sentence):
        resources.of_task(ModelUse("op", device))


def test_a_dataset_of_blocks_with_other_types_is_refused_with_the_column(ray_cluster):
    import ray

    dataset = ray.data.from_arrow([pa.table({"n": [1]}), pa.table({"n": ["a"]})])
    with pytest.raises(DatasetError, match=r"^op: .*'n'"):
        module.materialized(dataset, "op")
