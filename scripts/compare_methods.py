"""Run the recipes of recipes/methods on one dataset with the same number of rows, and compare the chosen rows.

`python -m scripts.compare_methods my.jsonl --budget 1500`. The script also runs baselines: random rows, and
Data-Juicer's MinHash deduplicator and `semantic_deduplicator`, each followed by a random choice.
`facility_location_selector` runs with several values of `score_weight`, to show quality against coverage. Rows are
embedded and scored once for all recipes.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / "recipes" / "methods"
BUDGETS = ("select_ratio", "num_per_topic", "select_num", "select_tokens")
WEIGHTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)
MEASURES = ("coverage", "vendi", "novelsum", "quality", "redundancy", "topics_reached")
METHODS_WITHOUT_A_NUMBER = frozenset({"diverse_evol_step"})
"""Recipes that need some rows to be chosen before."""

Process = list[dict[str, dict[str, Any]]]


def baselines() -> dict[str, Process]:
    """Return the operators of the baselines."""
    budget: dict[str, dict[str, Any]] = {"budget_selector": {}}
    return {
        "random": [budget],
        "minhash, then random": [{"document_minhash_deduplicator": {"text_key": "instruction"}}, budget],
        "semantic deduplication, then random": [{"semantic_deduplicator": {"max_similarity": 0.8}}, budget],
    }


def front() -> dict[str, Process]:
    """Return facility location with several values of `score_weight`."""
    key = {"score_key": "distilled_quality_score"}
    return {
        f"facility location, score_weight {weight}": [
            {"facility_location_selector": {**key, "score_weight": weight} if weight else {}}
        ]
        for weight in WEIGHTS
    }


def methods() -> dict[str, Process]:
    """Return the operators of the recipes that select rows and need no language model.

    Operators that embed, or that score with `distilled`, are left out, because rows are embedded and scored before.
    """
    found: dict[str, Process] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.stem in METHODS_WITHOUT_A_NUMBER:
            continue
        recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
        process = [{name: parameters or {}} for entry in recipe["process"] for name, parameters in entry.items()]
        selects = any(name.endswith("_selector") for entry in process for name in entry)
        if selects and not any(map(_needs_a_model, process)):
            found[path.stem] = [entry for entry in process if not _is_scored_before(entry)]
    return found


def _needs_a_model(entry: dict[str, dict[str, Any]]) -> bool:
    given = json.dumps(entry)
    scoring = entry.get("sample_score_filter")
    return "hf_model" in given or "api_" in given or (scoring is not None and scoring.get("scorer") != "distilled")


def _is_scored_before(entry: dict[str, dict[str, Any]]) -> bool:
    scoring = entry.get("sample_score_filter")
    return scoring is not None and scoring == {"scorer": "distilled"}


def with_budget(process: Process, rows: int) -> Process:
    """Return the operators with the last selector set to a number of rows.

    :raises ValueError: if no operator selects.
    """
    changed = copy.deepcopy(process)
    for entry in reversed(changed):
        for name, parameters in entry.items():
            if name.endswith("_selector"):
                for budget in BUDGETS:
                    parameters.pop(budget, None)
                parameters["select_num"] = rows
                return changed
    raise ValueError("none of the operators selects a number of rows")


def run(name: str, process: Process, dataset: Path, folder: Path) -> tuple[Path, float]:
    """Run operators with dj-process, and return the export and the seconds of the whole command.

    :raises RuntimeError: if the run fails; the message has the end of the log.
    """
    folder = folder / name.replace(" ", "_").replace(",", "")
    folder.mkdir(parents=True, exist_ok=True)
    export, recipe, log = folder / "export.jsonl", folder / "recipe.yaml", folder / "log.txt"
    export.unlink(missing_ok=True)
    settings = {
        "project_name": "comparison",
        "dataset_path": str(dataset),
        "export_path": str(export),
        "np": 1,
        "text_keys": ["instruction", "output"],
        "keep_stats_in_res_ds": True,
        "open_monitor": False,
        "process": process,
    }
    recipe.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        command = [str(Path(sys.executable).parent / "dj-process"), "--config", str(recipe)]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode or not export.is_file():
        raise RuntimeError("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]))
    return export, time.monotonic() - started


def compared(exports: Sequence[Path], reference: Path) -> list[dict[str, Any]]:
    """Return the figures of each export."""
    command = [sys.executable, "-m", "mergeit_ops", "compare", *map(str, exports), "--reference", str(reference)]
    done = subprocess.run([*command, "--scorer", "distilled", "--json"], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["files"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and compare the methods. The exit code is 1 if one of them fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="rows with columns instruction, input, output")
    parser.add_argument(
        "--budget", type=int, default=1_500, help="number of rows that each method chooses (default: 1500)"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/methods"), help="folder of the exports")
    parser.add_argument("--only", nargs="+", help="names; default: all")
    asked = parser.parse_args(arguments)
    prepared, _ = run(
        "prepared",
        [{"sentence_embedding_mapper": {}}, {"sample_score_filter": {"scorer": "distilled"}}],
        asked.dataset,
        asked.output,
    )
    everything = {**baselines(), **methods(), **front()}
    found: dict[str, tuple[Path, float]] = {}
    failed = []
    for name, process in everything.items():
        if asked.only and name not in asked.only:
            continue
        try:
            found[name] = run(name, with_budget(process, asked.budget), prepared, asked.output)
        except (RuntimeError, ValueError) as error:
            failed.append(f"{name}: {error}")
            continue
        print(f"{name}: {found[name][1]:.0f} s", file=sys.stderr, flush=True)
    figures = compared([export for export, _ in found.values()], asked.dataset)
    print("| choice | rows | " + " | ".join(MEASURES) + " | characters of an answer | seconds |")
    print("|---" * (len(MEASURES) + 4) + "|")
    for (name, (_, seconds)), file in zip(found.items(), figures, strict=True):
        values = [file["measures"][key]["value"] for key in MEASURES]
        cells = ["–" if value is None else f"{value:,.4g}" for value in values]
        length = file["characters"]["output"] / max(1, file["rows"])
        print(f"| {name} | {file['rows']:,} | {' | '.join(cells)} | {length:,.0f} | {seconds:.0f} |")
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
