"""Running a function over the blocks of a Ray dataset, as tasks whose rows stay on the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, repeat
from typing import Any, Protocol

import pyarrow as pa
import ray
from ray.data import Dataset
from ray.exceptions import RayError

from mergeit_ops.distributed.columns import with_json, with_structs
from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.distributed.journal import JournalPlace, use_kept_journals
from mergeit_ops.distributed.ledger import close_ledgers
from mergeit_ops.distributed.schemas import common_schema
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.rows import ModelUse, TableFunction

_IN_ADVANCE = 2  # tasks per processor: the next is ready when one ends, and waiting tasks make a cluster grow

_LAST_REPORTS_S = 60.0
"""Seconds to wait for the reports of tasks that were asked to stop. They may still wait for answers in flight."""


class TaskOperator(Protocol):
    """The settings of one of Data-Juicer's operators that name the resources of its tasks."""

    num_proc: int | list[int] | tuple[int, ...] | None
    num_cpus: float | None
    num_gpus: float | None
    memory: float | None
    runtime_env: Mapping[str, Any] | None

    def use_ray_actor(self) -> bool:
        """Return whether it runs in actors."""
        ...

    def use_cuda(self) -> bool:
        """Return whether it runs on GPUs."""
        ...


@dataclass(frozen=True)
class Resources:
    """The resources of each task of an operator, as the recipe sets them; see Data-Juicer's operators.

    :param num_cpus: processors; None: one.
    :param num_gpus: GPUs, or a share of one; None: none.
    :param memory: GB; None: not reserved.
    :param runtime_env: Ray's runtime environment; None: the job's.
    :param num_proc: most tasks at the same time; None: as many as fit in the cluster.
    :param actors: smallest and largest number of actors that keep a model; None: the recipe asks for no actors.
    :param on_gpu: whether models run on GPUs.
    """

    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: float | None = None
    runtime_env: Mapping[str, Any] | None = None
    num_proc: int | None = None
    actors: tuple[int, int] | None = None
    on_gpu: bool = False

    @classmethod
    def of(cls, operator: TaskOperator) -> Resources:
        """Return the resources that the recipe sets for one of Data-Juicer's operators.

        :param operator: the operator.
        """
        asked = operator.num_proc
        # For actors, Data-Juicer takes the smallest and the largest number.
        least, most = (asked[0], asked[-1]) if isinstance(asked, (tuple, list)) else (asked, asked)
        actors = (int(least or 0), int(most)) if isinstance(most, int) and most > 0 else (1, 1)
        return cls(
            num_cpus=operator.num_cpus,
            num_gpus=operator.num_gpus,
            memory=operator.memory,
            runtime_env=operator.runtime_env,
            num_proc=int(most) if most and most > 0 else None,
            actors=actors if operator.use_ray_actor() else None,
            on_gpu=operator.use_cuda(),
        )

    def options(self) -> dict[str, Any]:
        """Return the resources as options of a Ray task."""
        options: dict[str, Any] = {"num_cpus": 1 if self.num_cpus is None else self.num_cpus}
        if self.num_gpus:
            options["num_gpus"] = self.num_gpus
        if self.memory:
            options["memory"] = int(self.memory * 1024**3)
        if self.runtime_env:
            options["runtime_env"] = dict(self.runtime_env)
        return options

    def without_gpus(self) -> Resources:
        """Return the resources for work that uses no GPU."""
        return replace(self, num_gpus=None)

    def for_a_model(self, on_gpu: bool) -> Resources:
        """Return the resources for tasks that load a language model.

        If the recipe sets none, each task gets a GPU, or all processors of a node if it runs without a GPU. Ray hides
        the GPUs from tasks that ask for none, and gives a task as many threads as it has processors.

        :param on_gpu: whether a task may use a GPU, if the cluster has one.
        """
        if on_gpu and self.num_gpus is None and ray.cluster_resources().get("GPU"):
            return replace(self, num_gpus=1)
        if self.num_gpus or self.num_cpus is not None:
            return self
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        return replace(self, num_cpus=min((cpus for cpus in nodes if cpus), default=1))

    def of_task(self, model: ModelUse | None) -> Resources:
        """Return the resources for tasks that run a model, or for tasks without one; see `for_a_model`.

        :param model: the model; None: the tasks run none, and need no GPU.
        :raises RecipeError: if the model needs a GPU and its tasks have none, or if no node has the resources of a
            task. Ray would wait for such a node without end.
        """
        if model is None:
            return self.without_gpus()
        on_gpu = model.device != "cpu"
        found = (self if on_gpu else self.without_gpus()).for_a_model(on_gpu)
        if on_gpu and model.device is not None and not found.num_gpus:
            why = "num_gpus is 0" if self.num_gpus == 0 else "the cluster has no GPU"
            raise RecipeError(
                f"{model.owner}: the model cannot run on the device '{model.device}', because {why}. Set num_gpus to "
                "the GPUs of a task, or set the device to cpu or null."
            )
        found._check_room(model.owner)
        return found

    def _check_room(self, owner: str) -> None:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        asked = {"CPU": self.options()["num_cpus"], "GPU": self.num_gpus or 0}
        if not any(all(node.get(name, 0) >= number for name, number in asked.items()) for node in nodes):
            there = "; ".join(sorted({f"{node.get('CPU', 0):g} CPU and {node.get('GPU', 0):g} GPU" for node in nodes}))
            raise RecipeError(
                f"{owner}: each task asks for num_cpus {asked['CPU']:g} and num_gpus {asked['GPU']:g}, but no node of "
                f"the cluster has these. There are nodes with {there}. Lower num_cpus and num_gpus, or start a larger "
                "node."
            )

    def at_once(self) -> int:
        """Return how many tasks the cluster runs at the same time."""
        cluster = ray.cluster_resources()
        room = cluster.get("CPU", 1) // (self.num_cpus or 1)
        if self.num_gpus:
            room = min(room, cluster.get("GPU", 0) // self.num_gpus)
        room = int(room) or 1
        return min(room, self.num_proc or room)


@dataclass(frozen=True)
class Stop:
    """How to stop running tasks.

    :param ask: function that asks the tasks to stop; its argument is the reason.
    :param on_told: called with the report of each stopped task.
    """

    ask: Callable[[Exception], None]
    on_told: Callable[[Any], None]


class Blocks:
    """The blocks of a dataset, in order, computed and kept by the cluster. Blocks without rows are left out.

    :param refs: a reference to each block, which is an Arrow table.
    :param rows: rows in each block.
    """

    def __init__(self, refs: Sequence[ray.ObjectRef], rows: Sequence[int]) -> None:
        held = [(ref, number) for ref, number in zip(refs, rows, strict=True) if number]
        self.refs = [ref for ref, _ in held]
        self.rows = [number for _, number in held]

    @property
    def firsts(self) -> list[int]:
        """Return the number of the first row of each block, counted from 0 over all rows."""
        return [0, *accumulate(self.rows)][:-1]

    @classmethod
    def of(cls, dataset: Dataset) -> Blocks:
        """Compute a dataset. The blocks are in the order of its input.

        :param dataset: dataset of Ray.
        """
        refs = materialized(dataset).to_arrow_refs()
        return cls(refs, ray.get([_num_rows.remote(ref) for ref in refs]))

    def dataset(self) -> Dataset:
        """Return the blocks as a dataset."""
        return ray.data.from_arrow_refs(self.refs)

    def map(
        self,
        function: TableFunction,
        *shared: Any,
        each: Iterable[Any] | None = None,
        resources: Resources | None = None,
        journals: JournalPlace | None = None,
        in_advance: int = _IN_ADVANCE,
        on_told: Callable[[Any], None] = lambda told: None,
        stop: Stop | None = None,
        stats: Mapping[str, pa.DataType] | None = None,
    ) -> tuple[Blocks, list[Any]]:
        """Run a function over every block.

        Ray runs a task again if its worker dies. If a task raises, no other task is started. Running tasks continue
        until they are done or the driver ends, because Ray's driver may crash when it cancels a task that ends at that
        moment. `stop` asks them to end.

        :param function: called with the block, the shared arguments, and this block's own argument.
        :param shared: arguments of all calls; sent to each node once.
        :param each: one further argument per block, taken when its task starts.
        :param resources: resources of a task; None: one processor.
        :param journals: where tasks find their journals; None: on their own machine.
        :param in_advance: tasks to start for each task that fits in the cluster. More than 1 keeps processors busy, but
            Ray may run them in parallel: a task that waits for an actor gives its processor to the next.
        :param on_told: called with the function's report about each finished block; an exception ends the work.
        :param stop: how to stop running tasks if one fails, or `on_told` raises; None: they cannot be stopped.
        :param stats: types of the stats that the function writes; None: it writes none, or those of the gate.
        :return: the new blocks, and the function's report about each old one, in order.
        :raises MergeItError: the error that a task raised on purpose.
        """
        resources = resources or Resources()
        task = _run_block.options(**resources.options())
        # The environment travels with the function, because Ray pickles it and does not log it.
        call = ray.put((function, DriverEnvironment(), journals, stats))
        common = [ray.put(argument) for argument in shared]
        own = repeat(()) if each is None else ((argument,) for argument in each)

        def start(number: int) -> tuple[Any, Any]:
            return tuple(task.remote(call, self.refs[number], *common, *next(own)))

        def limit() -> int:
            return in_advance * resources.at_once()

        results = _all_of(len(self.refs), start, limit, lambda result: on_told(result[1]), stop)
        tables = [ref for ref, _ in results]
        return Blocks(tables, [rows for _, (rows, _) in results]), [told for _, (_, told) in results]

    def tell(self, function: TableFunction, *shared: Any, each: Iterable[Any] | None = None) -> list[Any]:
        """Run a function over every block and return only its reports; see `map`."""
        return self.map(function, *shared, each=each)[1]


@ray.remote(num_returns=2)
def _run_block(
    call: tuple[TableFunction, DriverEnvironment, JournalPlace | None, Mapping[str, pa.DataType] | None],
    table: pa.Table,
    *arguments: Any,
) -> tuple[pa.Table | None, tuple[int, Any]]:
    function, environment, journals, stats = call
    environment.apply()
    use_kept_journals(journals)
    made, told = function(with_json(table), *arguments)
    if made is None:
        return None, (0, told)
    return with_structs(made, table.schema, stats), (made.num_rows, told)


@ray.remote
def _num_rows(table: pa.Table) -> int:
    return table.num_rows


def finished(refs: Sequence[Any]) -> list[Any]:
    """Wait for the results of tasks that have been started.

    :param refs: references to the results.
    :return: the results, in order.
    :raises MergeItError: the error that a task raised on purpose.
    """
    return [result for _, result in _all_of(len(refs), lambda number: (None, refs[number]), lambda: len(refs))]


def _all_of(
    count: int,
    start: Callable[[int], tuple[Any, Any]],
    limit: Callable[[], int],
    on_result: Callable[[Any], None] = lambda result: None,
    stop: Stop | None = None,
) -> list[tuple[Any, Any]]:
    """Start tasks up to a limit at a time, and wait for them. If one raises, start no more.

    :param count: number of tasks.
    :param start: starts a task by its number, in order; returns what to keep, and the reference to wait for.
    :param limit: returns how many started tasks may be unfinished at the same time.
    :param on_result: called with each result when it arrives.
    :param stop: how to stop running tasks if one fails, or `on_result` raises.
    :return: for each task what `start` gave to keep, and the result.
    """
    kept: dict[int, Any] = {}
    results: dict[int, Any] = {}
    running: dict[Any, int] = {}
    while len(results) < count:
        most = limit()  # computed again, because a cluster may grow
        while len(kept) < count and len(running) < most:
            number = len(kept)
            kept[number], ref = start(number)
            running[ref] = number
        done, _ = ray.wait(list(running), num_returns=1)
        for ref in done:
            number = running.pop(ref)
            try:
                with own_errors():
                    results[number] = ray.get(ref)
                on_result(results[number])
            except Exception as error:
                if stop is not None:
                    _stop(list(running), stop, error)
                raise
    return [(kept[number], results[number]) for number in range(count)]


def _stop(running: Sequence[Any], stop: Stop, error: Exception) -> None:
    stop.ask(error)
    done, _ = ray.wait(running, num_returns=len(running), timeout=_LAST_REPORTS_S) if running else ([], [])
    for ref in done:
        try:
            stop.on_told(ray.get(ref)[1])
        except RayError:
            # The user needs the error that stopped the tasks, not this one.
            continue


def materialized(dataset: Dataset, operator: str | None = None) -> Dataset:
    """Compute a dataset, with its rows in the order of its input. Ray does not keep the order by default.

    :param dataset: input of an operator.
    :param operator: its registry name, to check that the blocks are one dataset; None: no check.
    :raises DatasetError: if a column has incompatible types in different blocks.
    """
    dataset.context.execution_options.preserve_order = True
    with own_errors():
        computed = dataset.materialize()
        # All rows of the filters before this stage have arrived.
        close_ledgers()
        if operator is not None:
            common_schema(ray.get([_schema.remote(ref) for ref in computed.to_arrow_refs()]), operator)
    return computed


@ray.remote
def _schema(table: pa.Table) -> pa.Schema:
    return table.schema.remove_metadata() if table.num_rows else pa.schema([])
