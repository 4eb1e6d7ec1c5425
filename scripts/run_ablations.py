"""Run all ablations and baselines of recipes/ablations on one dataset with the same number of rows, and print figures.

`python -m scripts.run_ablations my.jsonl --budget 1500` (or `make ablations DATA=my.jsonl BUDGET=1500`). A recipe is
skipped if its server or model is missing; the table then says why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from mergeit_ops.dataset.manifest import read_manifests

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "recipes" / "ablations"
# The full method runs first, because the ablation with random pairs uses its number of pairs.
FIRST = "full"
RANDOM_PAIRS = "random_pairs"
MERGER, GATE, BUDGET, MODEL = (
    "llm_pair_merger_mapper",
    "quality_gate_filter",
    "budget_selector",
    "sample_score_filter",
)


@dataclass(frozen=True)
class Result:
    """The result of a recipe.

    :param recipe: name of the recipe.
    :param rows: number of exported rows; None: there is no export.
    :param pairs: number of pairs; None: the recipe does not merge.
    :param merged: number of accepted merges before rows are cut to the budget.
    :param seconds: seconds of the whole command.
    :param note: why there is no export, or why it has fewer rows than the budget.
    """

    recipe: str
    rows: int | None = None
    pairs: int | None = None
    merged: int | None = None
    seconds: float = 0.0
    note: str = ""


def recipes() -> list[str]:
    """Return the names of the recipes, the full method first."""
    return sorted((path.stem for path in FOLDER.glob("*.yaml")), key=lambda name: (name != FIRST, name))


def process_of(name: str) -> dict[str, Mapping[str, Any]]:
    """Return the operators of a recipe with their parameters."""
    recipe = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return {operator: parameters or {} for entry in recipe["process"] for operator, parameters in entry.items()}


def obstacle(name: str, hf_model: str | None, environment: Mapping[str, str]) -> str:
    """Return what a recipe needs and does not find; empty if it can run."""
    process = process_of(name)
    asks_a_server = MERGER in process and process[MERGER].get("merge_strategy", "llm") == "llm"
    if asks_a_server and not environment.get("OPENAI_API_KEY") and not environment.get("OPENAI_BASE_URL"):
        return "needs a server: set OPENAI_API_KEY or OPENAI_BASE_URL"
    if MODEL in process and hf_model is None:
        return "needs a causal language model: --hf-model gpt2, or the folder of another"
    return ""


def overrides(name: str, budget: int, more: float) -> list[str]:
    """Return the arguments that set the number of rows of a recipe.

    :param name: name of the recipe.
    :param budget: number of rows to export.
    :param more: share of additional rows to select in recipes that merge, because merging reduces the number of rows.
    """
    process = process_of(name)
    selected = round(budget * (1 + more)) if MERGER in process else budget
    return [
        argument
        for operator, parameters in process.items()
        if "select_num" in parameters
        for argument in (f"--{operator}.select_num", str(budget if operator == BUDGET else selected))
    ]


def matched_ratio(full: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the `merge_ratio` with which random pairing gives the number of pairs of the full method.

    :param full: records of the run of the full method.
    :return: the ratio, or None if the full method found no pairs.
    """
    for record in full:
        figures = record["figures"]
        if record["operator"] == MERGER and figures.get("pairs"):
            return min(1.0, 2 * figures["pairs"] / figures["rows_in"])
    return None


def run(name: str, arguments: Sequence[str], folder: Path, budget: int) -> Result:
    """Run a recipe, with an own folder for its export."""
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    export, log = folder / f"{name}.jsonl", folder / "log.txt"
    export.unlink(missing_ok=True)
    command = [str(Path(sys.executable).parent / "dj-process"), "--config", str(FOLDER / f"{name}.yaml")]
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        ended = subprocess.run(
            [*command, "--export_path", str(export), *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ,
            check=False,
        )
    seconds = round(time.monotonic() - started, 1)
    if ended.returncode or not export.is_file():
        return Result(name, seconds=seconds, note=f"failed, see {log}: {last_line(log)}")
    rows = sum(1 for _ in export.open(encoding="utf-8"))
    pairs, merged = merges_of(records_of(folder))
    note = "" if rows == budget else f"{budget - rows} rows too few: select more (--more), or lower the budget"
    return Result(name, rows, pairs, merged, seconds, note)


def last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no word"


def records_of(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the latest run in a folder; empty if there are none."""
    work_dirs = sorted(folder.glob("*/mergeit"), key=lambda path: path.stat().st_mtime)
    return read_manifests(work_dirs[-1].parent) if work_dirs else []


def merges_of(records: Sequence[Mapping[str, Any]]) -> tuple[int | None, int | None]:
    """Return the number of pairs of a run, and of its merges that passed the gate if there is one."""
    figures = {record["operator"]: record["figures"] for record in records}
    if MERGER not in figures:
        return None, None
    merged = figures[GATE].get("accepted", 0) if GATE in figures else figures[MERGER]["merged"]
    return figures[MERGER]["pairs"], merged


def table(results: Sequence[Result]) -> str:
    """Return the results as a table."""
    lines = ["| recipe | rows | pairs | merges | seconds | |", "|---|---|---|---|---|---|"]
    for result in results:
        figures = ("–" if value is None else f"{value:,}" for value in (result.rows, result.pairs, result.merged))
        lines.append(f"| {result.recipe} | {' | '.join(figures)} | {result.seconds:.0f} | {result.note} |")
    return "\n".join(lines)


def _row_count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the recipes. The exit code is 0 if all that ran exported the full number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="rows with columns instruction, input, output: JSON Lines, JSON, parquet")
    parser.add_argument("--budget", type=_row_count, required=True, help="number of rows that each recipe exports")
    parser.add_argument(
        "--more", type=float, default=0.25, help="share of additional rows to select for merging (default: 0.25)"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/ablations"), help="folder of the exports")
    parser.add_argument("--only", nargs="+", choices=recipes(), default=recipes(), metavar="RECIPE", help="names")
    parser.add_argument("--hf-model", help="causal language model of the perplexity and Superfiltering baselines")
    parser.add_argument("--hf-dtype", default="float32", help="type of its weights (default: float32)")
    parser.add_argument(
        "--llm", help="model that merges, by its name on the server (default: gpt-4o, as in the recipes)"
    )
    asked = parser.parse_args(arguments)
    results: list[Result] = []
    for name in (name for name in recipes() if name in asked.only):
        lacking = obstacle(name, asked.hf_model, os.environ)
        if lacking:
            results.append(Result(name, note=lacking))
        else:
            process = process_of(name)
            own = ["--dataset_path", asked.dataset, *overrides(name, asked.budget, asked.more)]
            if MODEL in process:
                model = {"hf_model": asked.hf_model, "dtype": asked.hf_dtype}
                # The command line replaces a mapping as a whole.
                own += [f"--{MODEL}.scorer_params", json.dumps({**process[MODEL]["scorer_params"], **model})]
            if MERGER in process and asked.llm:
                own += [f"--{MERGER}.api_or_hf_model", asked.llm]
            if name == RANDOM_PAIRS:
                # Only records of this call count, because an older run can be one on other rows.
                is_known = any(result.recipe == FIRST and result.rows for result in results)
                ratio = matched_ratio(records_of(asked.output / FIRST)) if is_known else None
                if ratio is None:
                    print(
                        f"{name}: without a run of {FIRST} before it, the recipe's own merge_ratio says how many pairs"
                    )
                else:
                    own += [f"--{MERGER}.merge_ratio", f"{ratio:.6f}"]
            results.append(run(name, own, asked.output, asked.budget))
        print(table(results[-1:]).splitlines()[-1], flush=True)
    asked.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(result) for result in results], indent=2)
    (asked.output / "summary.json").write_text(text, encoding="utf-8")
    print(f"\n{table(results)}\n\nExports: {asked.output}/RECIPE/RECIPE.jsonl")
    return int(any(result.note for result in results if result.seconds))


if __name__ == "__main__":
    sys.exit(main())
