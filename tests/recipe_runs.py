"""Running Data-Juicer like its users: as its own command, or in this process, which is faster."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mergeit_ops.dataset.record_files import MANIFEST_DIR


def make_dataset(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows in the dataset class that Data-Juicer's default executor passes to operators."""
    from data_juicer.core.data import NestedDataset
    from datasets import Dataset

    return NestedDataset(Dataset.from_list([dict(row) for row in rows]))


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows and return the path."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read rows."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_recipe(folder: Path, process: Sequence[Mapping[str, Any]], dataset: Path, **settings: Any) -> Path:
    """Write a recipe for a dataset. By default it exports to `out/export.jsonl` in the folder."""
    recipe = {
        "project_name": "contract",
        "dataset_path": str(dataset),
        "export_path": str(folder / "out" / "export.jsonl"),
        "np": 1,
        "text_keys": "instruction",
        "keep_stats_in_res_ds": True,
        "open_monitor": False,
        "process": [dict(operator) for operator in process],
    } | settings
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def run_recipe(recipe: Path, *overrides: str) -> Path:
    """Run a recipe with Data-Juicer's default executor in this process; return the path of the export."""
    from data_juicer.config import init_configs
    from data_juicer.core import DefaultExecutor

    config = init_configs(["--config", str(recipe), *overrides])
    DefaultExecutor(config).run(skip_return=True)
    return Path(config.export_path)


_finished: dict[str, tuple[tempfile.TemporaryDirectory[str], str]] = {}


def copy_of_run(
    folder: Path, process: Sequence[Mapping[str, Any]], dataset: Path, *, suffix: str = "jsonl", **settings: Any
) -> Path:
    """Return the export of a recipe in a folder that the test may change.

    The recipe runs once for all tests of this process that use it, so it must not call a server. Its records name the
    original folder. Readers find them next to the copied export, like those of a folder that was moved.

    :param folder: folder in which `out` is created.
    :param process: see `write_recipe`.
    :param dataset: see `write_recipe`.
    :param suffix: suffix of the export.
    :param settings: see `write_recipe`.
    """
    rows = hashlib.sha256(dataset.read_bytes()).hexdigest()
    key = json.dumps([process, rows, dataset.suffix, suffix, settings], sort_keys=True)
    if key not in _finished:
        # The folder is removed when this process ends.
        home = tempfile.TemporaryDirectory(prefix="mergeit-run-")
        kept = Path(shutil.copy(dataset, home.name))
        recipe = write_recipe(Path(home.name), process, kept, **settings)
        export = run_recipe(recipe, "--export_path", str(Path(home.name) / "out" / f"export.{suffix}"))
        _finished[key] = home, export.name
    home, name = _finished[key]
    return Path(shutil.copytree(Path(home.name) / "out", folder / "out")) / name


def run_recipe_apart(recipe: Path, export: Path) -> Path:
    """Run a recipe with Data-Juicer's default executor outside this process; return the export.

    For tests whose process has started Ray and cannot fork any more. They share one process, because a start costs ten
    times as much as a run.
    """
    return _process_apart().submit(_run_as_told, dict(os.environ), recipe, export).result(timeout=240)


@lru_cache(maxsize=1)
def _process_apart() -> ProcessPoolExecutor:
    # A new interpreter has none of the threads of this process.
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))


def _run_as_told(environment: Mapping[str, str], recipe: Path, export: Path) -> Path:
    os.environ.clear()
    os.environ.update(environment)
    return run_recipe(recipe, "--export_path", str(export))


def run_recipe_on_ray(recipe: Path, *overrides: str) -> Path:
    """Run a recipe with Data-Juicer's Ray executor and the driver in this process; return the folder of the export."""
    from data_juicer.config import init_configs
    from data_juicer.core.executor import ExecutorFactory
    from data_juicer.utils.constant import RAY_JOB_ENV_VAR

    from mergeit_ops.distributed.ledger import close_ledgers

    before = os.environ.get(RAY_JOB_ENV_VAR)
    try:
        config = init_configs(["--config", str(recipe), "--executor_type", "ray", "--ray_address", "local", *overrides])
        ExecutorFactory.create_executor(config.executor_type)(config).run(skip_return=True)
    finally:
        # In a real run, the end of the process closes them.
        close_ledgers()
        # Data-Juicer marks the whole process as a Ray job, but the tests after this one are not Ray jobs.
        os.environ.pop(RAY_JOB_ENV_VAR, None)
        if before is not None:
            os.environ[RAY_JOB_ENV_VAR] = before
    return Path(config.export_path)


def work_dir_of(export: Path) -> Path:
    """Return the work dir of the last run that wrote into the folder of an export."""
    return max(path for path in export.parent.iterdir() if (path / MANIFEST_DIR).is_dir())


def read_export(folder: Path) -> list[dict[str, Any]]:
    """Read the files of an export on Ray, JSON Lines or parquet, in the order of their names."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".parquet":
            rows += pd.read_parquet(path, dtype_backend="pyarrow").to_dict("records")
        elif path.suffix in (".json", ".jsonl"):
            rows += read_jsonl(path)
    return rows


def run_command(
    command: str, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run one of Data-Juicer's commands as its own process, in a folder of its own."""
    return subprocess.run(
        [str(Path(sys.executable).parent / command), *arguments],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        text=True,
        # Workers of Ray write into the same pipe, sometimes in the middle of a character.
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
        check=False,
    )
