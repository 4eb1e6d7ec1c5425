"""Embedding, losses, local merging and the `deita` scorer on one GPU, compared with plain code, within a time limit.

    python benchmarks/gpu.py --output gpu.json [--shapes published|tiny] [--device cuda|cpu] [--limit-s 480]
        [--only embedding losses_1b]

| part | ours | the plain way |
|---|---|---|
| `embedding` | `load_encoder`, in float32 and in the dtype it chooses | sentence-transformers' `encode` |
| `losses_1b`, `losses_7b` | scorer `response_loss`, IFD | a row at a time, with its instruction and without |
| `merging_1b` | the merger's engine with a local model | a loop over `pipeline("text-generation")` |
| `deita_7b` | scorer `deita` | a row at a time, two tokens generated, as in the released code |

Models have random weights in bfloat16 and the shapes of Llama-3.2-1B and Llama-2-7B (`--shapes tiny`: 58 million
parameters). The weights are drawn on the device and written to a temporary folder, which needs 17 GB (TMPDIR sets its
place). Both sides run the same weights on the same rows, and take turns. Embedding uses the default encoder with its
own weights. Nothing is downloaded.

Each part runs in its own process and gets a share of the remaining time. It starts with few rows and takes more as long
as they fit; the figures are those of the largest number. The JSON is written after each part. The `status` of a part is
`ok`, `out_of_memory`, `out_of_time`, `failed` or `not_run`. A part that was stopped keeps its figures so far. `ratio`
is the speed-up of ours, the median over pairs of consecutive runs. Memory is torch's peak on the GPU, including
weights. Both sides share the weights, except in `merging`, which has them twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import median, timed

if TYPE_CHECKING:
    from gpu_sides import Sides

# A part gets its weight's share of the remaining time, among the parts that have not run.
PARTS: Mapping[str, Mapping[str, float]] = {
    "published": {"embedding": 1, "losses_1b": 2, "merging_1b": 3, "losses_7b": 4, "deita_7b": 4},
    "tiny": {"embedding": 1, "losses_tiny": 1, "merging_tiny": 1, "deita_tiny": 1},
}
LIBRARIES = ("torch", "transformers", "sentence-transformers", "tokenizers", "py-data-juicer")
MOST_RUNS = 3
FEW = 2


def measured(sides: Sides, device: str, until: float, tell: Callable[[dict[str, Any]], None]) -> None:
    """Measure several ways to do the same work, in turns, on more and more rows.

    :param sides: the ways.
    :param device: device on which they run.
    :param until: time to stop, as in `time.time`.
    :param tell: called with the figures after each number of rows, and after each further run on the largest number.
    """
    for way in sides.ways.values():
        way(sides.rows[:1])  # loads models and libraries
    count = min(FEW, len(sides.rows))
    while True:
        runs = [run_once(sides, count, device)]
        tell(figures_of(sides, count, runs))
        taken = sum(seconds for seconds, _, _ in runs[0].values())
        more = min(len(sides.rows), 4 * count, int(count * (until - time.time()) / 2 / taken))
        if more < 1.5 * count:
            break
        count = more
    while len(runs) < MOST_RUNS and time.time() + taken < until:
        runs.append(run_once(sides, count, device))
        tell(figures_of(sides, count, runs))


Run = Mapping[str, tuple[float, int | None, Any]]
"""Seconds, peak memory in bytes, and results of each way."""


def run_once(sides: Sides, count: int, device: str) -> Run:
    """Run each way on the first rows of the set."""
    rows, found = sides.rows[:count], {}
    for name, way in sides.ways.items():
        reset_peak(device)
        seconds, results = timed(lambda: way(rows))  # noqa: B023
        found[name] = seconds, peak(device), results
    return found


def figures_of(sides: Sides, count: int, runs: list[Run]) -> dict[str, Any]:
    """Return the figures of each way, and its ratios to the plain one."""
    tokens = sides.tokens(sides.rows[:count])
    figures: dict[str, Any] = {"rows": count, "tokens": tokens, "runs": len(runs)}
    plain = next(iter(sides.ways))
    for name in sides.ways:
        seconds = median([run[name][0] for run in runs])
        peaks = [memory for _, memory, _ in (run[name] for run in runs) if memory is not None]
        figures[name] = {
            "seconds": round(seconds, 4),
            "rows_per_second": round(count / seconds, 3),
            "tokens_per_second": round(tokens / seconds, 1),
            "peak_gpu_mib": round(max(peaks) / 2**20) if peaks else None,
        }
        if name == plain:
            continue
        figures[name]["ratio"] = round(median([run[plain][0] / run[name][0] for run in runs]), 3)
        if sides.agreement is not None:
            measure, agreement = sides.agreement
            figures[name][measure] = agreement(runs[-1][plain][2], runs[-1][name][2])
    return figures


def reset_peak(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak(device: str) -> int | None:
    """Return torch's peak memory on the GPU in bytes; None without a GPU."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device == "cuda" else None


def machine(device: str) -> dict[str, Any]:
    """Return a description of the machine."""
    import torch

    if device == "cpu":
        return {
            "device": "cpu",
            "name": f"{torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} processors",
            "threads": torch.get_num_threads(),
        }
    properties = torch.cuda.get_device_properties(device)
    return {
        "device": device,
        "name": properties.name,
        "memory_mib": properties.total_memory // 2**20,
        "cuda": torch.version.cuda,
    }


def run_part(name: str, folder: Path, device: str, until: float, output: Path) -> None:
    """Measure one part, and write its figures after each step.

    :param name: name of the part: its kind, and the shape of its model.
    :param folder: folder for models.
    :param device: device on which it runs.
    :param until: time to stop, as in `time.time`.
    :param output: path of the JSON file.
    """
    from gpu_sides import KINDS
    from local_llm import build_model

    from mergeit_ops.llm.huggingface import is_out_of_memory

    kind, _, shape = name.partition("_")
    part: dict[str, Any] = {}

    def tell(**news: Any) -> None:
        part.update(news)
        written = output.with_suffix(".new")
        written.write_text(json.dumps(part), encoding="utf-8")
        written.replace(output)

    try:
        tell(machine=machine(device))
        if shape and not (folder / shape).exists():
            # Written under another name first, because the process can be stopped at any time.
            new = folder / f"{shape}.new"
            part["seconds_to_build"] = round(timed(lambda: build_model(str(new), shape, device))[0], 1)
            new.rename(folder / shape)
        taken, sides = timed(lambda: KINDS[kind](str(folder / shape), device))
        part["seconds_to_load"] = round(taken, 1)
        measured(sides, device, until, lambda figures: tell(status="ok", **figures))
    except Exception as error:
        causes: list[BaseException] = [error]
        while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None:
            causes.append(cause)
        status = "out_of_memory" if any(map(is_out_of_memory, causes)) else "failed"
        tell(status=status, why=f"{type(error).__name__}: {str(error)[:500]}")


def run_apart(name: str, folder: Path, device: str, seconds: float) -> dict[str, Any]:
    """Measure one part in its own process, which is stopped when its time is over.

    :param name: name of the part.
    :param folder: folder for models.
    :param device: device on which it runs.
    :param seconds: time limit.
    """
    told = folder / f"{name}.json"
    command = [sys.executable, __file__, "--part", name, "--folder", folder, "--device", device]
    # The process normally ends a little earlier by itself.
    command += ["--until", str(time.time() + 0.9 * seconds), "--output", told]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    ended: dict[str, Any] = {}
    with (folder / f"{name}.log").open("w+", encoding="utf-8") as log:
        try:
            done = subprocess.run(list(map(str, command)), env=environment, stdout=log, stderr=log, timeout=seconds)
        except subprocess.TimeoutExpired:
            ended = {"status": "out_of_time", "why": f"it had {seconds:.0f} seconds"}
        else:
            if done.returncode:
                log.seek(0)
                ended = {"status": "failed", "why": f"its process ended with {done.returncode}: {log.read()[-500:]}"}
    return (json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}) | ended


def line_of(name: str, part: Mapping[str, Any]) -> str:
    """Return a line with the figures of a part."""
    why = "" if part["status"] == "ok" else f"{part['status']} ({part['why']}) "
    if "ours" not in part:
        return f"{name}: {why}"
    ours, plain = part["ours"], part["plain"]
    return (
        f"{name}: {why}{part['rows']} rows, {ours['tokens_per_second']:,.0f} tokens a second, the plain way "
        f"{plain['tokens_per_second']:,.0f}, ratio {ours['ratio']:.2f}"
    )


def version_of(name: str) -> str | None:
    """Return the version of a library; None: it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def measure_all(shapes: str, device: str, limit_s: float, output: Path, only: list[str] | None) -> None:
    """Measure parts one after the other, and write the JSON after each."""
    weights, start = PARTS[shapes], time.time()
    asked = [name for name in weights if name in (only or weights)]
    report: dict[str, Any] = {
        "shapes": shapes,
        "limit_s": limit_s,
        "python": sys.version.split()[0],
        "libraries": {name: version_of(name) for name in LIBRARIES},
        "machine": None,
        "parts": {name: {"status": "not_run"} for name in weights},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(asked):
            left = limit_s - (time.time() - start)
            if left <= 0:
                break
            share = left * weights[name] / sum(weights[later] for later in asked[number:])
            part = run_apart(name, Path(folder), device, share)
            report["machine"] = part.pop("machine", report["machine"])
            report["parts"][name] = part
            report["seconds"] = round(time.time() - start, 1)
            output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            print(line_of(name, part), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="the JSON (default: gpu.json)")
    parser.add_argument(
        "--shapes", choices=sorted(PARTS), default="published", help="shapes of the models (default: published)"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="default: cuda")
    parser.add_argument("--limit-s", type=float, default=480, help="seconds for all parts (default: 480)")
    parser.add_argument("--only", nargs="+", help="names of parts (default: all)")
    for name, kind in {"--part": str, "--folder": Path, "--until": float}.items():
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(options.part, options.folder, options.device, options.until, options.output)
        return
    if unknown := set(options.only or ()) - set(PARTS[options.shapes]):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS[options.shapes])}")
    measure_all(options.shapes, options.device, options.limit_s, options.output, options.only)


if __name__ == "__main__":
    main()
