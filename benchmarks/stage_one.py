"""Stage 1 as a whole `dj-process` run, compared with a plain script, including start-up.

    python benchmarks/stage_one.py [--data rows.jsonl] [--repeats 3]

`recipes/select_only.yaml` and `benchmarks/plain_stage_one.py` (the steps of the method's released code) take turns on
the same rows. Memory is the peak of the largest process that the system reports.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from common import DATA, REPOSITORY, median, run, table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    options = parser.parse_args()
    bin_ = Path(sys.executable).parent
    rows = sum(1 for _ in options.data.open(encoding="utf-8"))
    measured: dict[str, list[tuple[float, float]]] = {"plain script": [], "dj-process, select_only.yaml": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.repeats):
            plain = [sys.executable, "benchmarks/plain_stage_one.py", options.data.resolve(), f"{folder}/plain.jsonl"]
            measured["plain script"].append(run(plain))
            ours = [bin_ / "dj-process", "--config", REPOSITORY / "recipes" / "select_only.yaml"]
            ours += ["--dataset_path", options.data.resolve(), "--export_path", f"{folder}/{number}/selected.jsonl"]
            # Data-Juicer caches results of operators, but each run must do its own work.
            measured["dj-process, select_only.yaml"].append(run([*ours, "--use_cache", "false"]))
        kept = [len(Path(f"{folder}/{name}.jsonl").read_bytes().splitlines()) for name in ("plain", "0/selected")]
    base = median([seconds for seconds, _ in measured["plain script"]])
    lines = []
    for (name, runs), left in zip(measured.items(), kept, strict=True):
        seconds = [taken for taken, _ in runs]
        lines.append(
            [
                name,
                f"{left:,}",
                f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})",
                f"{base / median(seconds):.2f}",
                f"{median([peak for _, peak in runs]):,.0f}",
            ]
        )
    print(f"{rows:,} rows, {options.repeats} runs\n")
    print(table(("", "rows kept", "seconds: median", "times the plain script", "peak MiB"), lines))


if __name__ == "__main__":
    main()
