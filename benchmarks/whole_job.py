"""Whole jobs including start-up: the quickstart, and all of Alpaca compared with a plain script of the first stage.

    python benchmarks/whole_job.py [--data rows.jsonl] [--repeats 3]

`recipes/mergeit_alpaca.yaml` uses a loopback server that takes half a second for a merge. The plain script,
`benchmarks/plain_stage_one.py`, does not clean, merge or score. Memory is the peak of the largest process that the
system reports.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from common import DATA, median, run, table
from llm_throughput import server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the quickstart (default: 3)")
    options = parser.parse_args()
    data = str(options.data.resolve())
    dj_process = str(Path(sys.executable).parent / "dj-process")
    with tempfile.TemporaryDirectory() as folder:

        def recipe(name: str, number: int = 0, **overrides: str) -> list[str]:
            export = ["--export_path", f"{folder}/{name}{number}/out.jsonl", "--use_cache", "false"]
            given = [part for key, value in overrides.items() for part in (f"--{key}", value)]
            return [dj_process, "--config", f"recipes/{name}.yaml", *export, *given]

        quick = [run(recipe("mergeit_quickstart", number)) for number in range(options.repeats)]
        lines = [_line("quickstart", quick)]
        with server(0.5) as (url, _):
            variables = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "MERGEIT_CACHE_DIR": f"{folder}/cache"}
            whole = run(recipe("mergeit_alpaca", dataset_path=data), **variables)
        lines.append(_line(f"mergeit_alpaca.yaml, {options.data.name}", [whole]))
        plain = run([sys.executable, "benchmarks/plain_stage_one.py", data, f"{folder}/plain.jsonl"])
        lines.append(_line(f"plain script of stage 1, {options.data.name}", [plain]))
    print(table(("", "seconds: median", "peak MiB"), lines))


def _line(name: str, runs: list[tuple[float, float]]) -> list[str]:
    seconds = [taken for taken, _ in runs]
    spread = f" ({min(seconds):.1f} to {max(seconds):.1f})" if len(runs) > 1 else ""
    return [name, f"{median(seconds):.1f}{spread}", f"{median([peak for _, peak in runs]):,.0f}"]


if __name__ == "__main__":
    main()
