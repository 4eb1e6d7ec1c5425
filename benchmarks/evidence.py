"""The worth of selection methods and of merges for a small student, from real recipes and several pools.

    python benchmarks/evidence.py sets FOLDER --alpaca A.jsonl --release R.jsonl --dolly D.jsonl --off-topic P.jsonl
    python benchmarks/evidence.py commands FOLDER --student MODEL
    python benchmarks/evidence.py run FOLDER --student MODEL --limit-s 3000
    python benchmarks/evidence.py table FOLDER --student MODEL

`sets` writes three experiments into FOLDER (see `evidence_sets.py`). `selection` has the rows that each method chooses
from pools of Alpaca rows. `merges` compares the merges of a release with rows of the release that are not merges.
`planted` has sets with planted differences, made from the pools of `selection`. Existing files stay, so to add a
method, add a line to `METHODS` and run the same command again.

`commands` prints the `train-eval` commands that `run` executes, one experiment after the other. `run` starts no
training that would end after the limit, and continues from FOLDER/results.jsonl.

`table` prints the results so far as Markdown. It also shows how well the order of methods by measured worth agrees with
their order by the measures of `compare`, which need no training.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from common import REPOSITORY, table
from evidence_sets import METHODS, write_merges, write_planted, write_selections

from mergeit_ops.training.names import CONTROL_NAMES

EXPERIMENTS = ("selection", "merges", "planted")
ANSWER_TOKENS = 16_000
POOLS = 6
MEANS = ("token", "row")
FEWEST_RANKED = 6
"""With five sets, only full agreement of two orders would be significant."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sets = commands.add_parser("sets", help="choose the sets")
    sets.add_argument("folder", type=Path)
    sets.add_argument("--alpaca", type=Path, required=True, help="rows for `selection`")
    sets.add_argument("--release", type=Path, required=True, help="rows with a column `kind`: merged or original")
    sets.add_argument("--dolly", type=Path, required=True, help="held-out rows for `merges`")
    sets.add_argument("--off-topic", type=Path, required=True, help="rows of another kind for `planted`")
    sets.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    sets.set_defaults(run=write_sets)
    for name, function in (("commands", show), ("run", run), ("table", tell)):
        command = commands.add_parser(name)
        command.add_argument("folder", type=Path)
        command.add_argument("--student", required=True)
        command.add_argument("--experiments", nargs="+", default=EXPERIMENTS, choices=EXPERIMENTS)
        command.add_argument("--methods", nargs="+", help="folders of sets (default: all existing ones)")
        command.add_argument("--answer-tokens", type=int, default=ANSWER_TOKENS, help="answer tokens of a training")
        command.add_argument("--pools", type=int, default=POOLS, help=f"pools of each experiment (default: {POOLS})")
        command.set_defaults(run=function)
        if name == "run":
            command.add_argument("--limit-s", type=float, default=600)
    options = parser.parse_args()
    return int(options.run(options) or 0)


def write_sets(options: argparse.Namespace) -> None:
    write_merges(options.release, options.dolly, options.folder / "merges", POOLS)
    write_selections(options.alpaca, options.folder / "selection", POOLS, options.methods)
    write_planted(options.off_topic, options.folder / "selection", options.folder / "planted", POOLS, ANSWER_TOKENS)


def show(options: argparse.Namespace) -> None:
    for name in options.experiments:
        print(shlex.join(command_of(options, name)))


def run(options: argparse.Namespace) -> int:
    ends = time.monotonic() + options.limit_s
    for name in options.experiments:
        left = ends - time.monotonic()
        if left < 1:
            break
        status = subprocess.run(
            [*command_of(options, name), "--limit-s", str(left)], env=_env(), check=False
        ).returncode
        if status:
            return status
    return 0


def tell(options: argparse.Namespace) -> None:
    for name in options.experiments:
        found = figures_of(options, name)
        if not found["controls"]:
            print(f"### {name}\n\nNo control is finished.\n")
            continue
        parts = (f"### {name}", controls_table(found), worth_table(found), agreement_table(options, name, found))
        print("\n\n".join(parts), end="\n\n")


def command_of(options: argparse.Namespace, name: str, results: Path | None = None) -> list[str]:
    """Return the `train-eval` command of an experiment."""
    folder = options.folder / name
    pools = [folder / "pools" / f"{number}.jsonl" for number in range(1, options.pools + 1)]
    return [
        *(sys.executable, "-m", "mergeit_ops", "train-eval", *map(str, _sets(options, name, pools))),
        *("--pool", *map(str, pools), "--heldout", str(folder / "heldout.jsonl"), "--student", options.student),
        *("--answer-tokens", str(options.answer_tokens), "--draws", str(options.pools), "--seeds", "1"),
        *("--results", str(results or options.folder / "results.jsonl")),
    ]


def figures_of(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Return the figures of the finished trainings, even while others run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "results.jsonl"
        if (options.folder / "results.jsonl").exists():
            shutil.copy(options.folder / "results.jsonl", copy)
        # No training ends within a millisecond.
        command = [*command_of(options, name, copy), "--limit-s", "0.001", "--json"]
        return dict(json.loads(subprocess.run(command, env=_env(), stdout=subprocess.PIPE, check=True).stdout))


def controls_table(found: Mapping[str, Any]) -> str:
    """Return the table of the controls."""
    lines = [[CONTROL_NAMES[role], str(one["draws"]), *_differences(one)] for role, one in found["controls"].items()]
    return table(["control", "pools", *(f"per {mean}" for mean in MEANS)], lines)


def worth_table(found: Mapping[str, Any]) -> str:
    """Return the table of the sets, the best per row first."""
    lines = []
    measured = [one for one in found["sets"] if "draws" in one]
    for one in sorted(measured, key=lambda one: one["difference_to_random"]["row"]["value"]):
        verdict = one["verdict"]["kind"].replace("_", " ") if one["draws"] > 1 else "one pool: no interval yet"
        lines.append([_name(one), str(one["draws"]), *_differences(one), verdict])
    return table(["set", "pools", *(f"per {mean}" for mean in MEANS), "verdict"], lines)


def agreement_table(options: argparse.Namespace, name: str, found: Mapping[str, Any]) -> str:
    """Return how well the order of sets by their worth agrees with their order by measures that need no training."""
    from scipy.stats import spearmanr

    measured = [one for one in found["sets"] if "draws" in one]
    if len(measured) < FEWEST_RANKED:
        return f"Fewer than {FEWEST_RANKED} sets are measured: too few to compare orders."
    pools = min(one["draws"] for one in measured)
    if pools < max(one["draws"] for one in measured):
        # Worth and measures must come from the same pools.
        common = argparse.Namespace(**{**vars(options), "pools": pools})
        measured = [one for one in figures_of(common, name)["sets"] if "draws" in one]
    names = [_name(one) for one in measured]
    values = [compared(options, name, number) for number in range(1, pools + 1)]
    lines = []
    for measure in values[0][names[0]]:
        own = [fmean(pool[one][measure] for pool in values) for one in names]
        if len(set(own)) == 1:
            continue
        cells = []
        for mean in MEANS:
            worth = [-one["difference_to_random"][mean]["value"] for one in measured]
            cells.append(f"{spearmanr(own, worth).statistic:+.2f}")
        lines.append([measure, *cells])
    head = [f"{len(names)} sets, {pools} pools", *(f"with worth per {mean}" for mean in MEANS)]
    return table(head, lines)


def compared(options: argparse.Namespace, name: str, number: int) -> dict[str, dict[str, float]]:
    """Return the measures of `compare` for each set of a pool, with equal rows; they are cached next to the results."""
    folder = options.folder / name
    kept = options.folder / "compared" / f"{name}_{number}.json"
    files = sorted((folder / "sets").glob(f"*/{number}.jsonl"))
    told = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
    if told is None or [file["path"] for file in told["files"]] != list(map(str, files)):
        pool = folder / "pools" / f"{number}.jsonl"
        command = [sys.executable, "-m", "mergeit_ops", "compare", *map(str, files), "--reference", str(pool), "--json"]
        told = json.loads(subprocess.run(command, env=_env(), stdout=subprocess.PIPE, check=True).stdout)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps(told), encoding="utf-8")
    return {
        Path(file["path"]).parent.name: {
            **{key: (file["at_equal_rows"].get(key) or own)["value"] for key, own in file["measures"].items()},
            "characters of an answer": file["characters"]["output"] / file["rows"],
        }
        for file in told["files"]
    }


def _sets(options: argparse.Namespace, name: str, pools: Sequence[Path]) -> Iterator[Path]:
    every = options.folder / name / "sets"
    there = [path.name for path in sorted(every.iterdir())]
    for one in there if options.methods is None else [one for one in options.methods if one in there]:
        yield every / one if len(pools) > 1 else every / one / pools[0].name


def _name(one: Mapping[str, Any]) -> str:
    return Path(one["files"][0]["path"]).parent.name


def _differences(one: Mapping[str, Any]) -> Iterator[str]:
    for mean in MEANS:
        told = one["difference_to_random"][mean]
        interval = "" if told["low"] is None else f" ({told['low']:+.4f} to {told['high']:+.4f})"
        yield f"{told['value']:+.4f}{interval}"


def _env() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(REPOSITORY)}


if __name__ == "__main__":
    raise SystemExit(main())
