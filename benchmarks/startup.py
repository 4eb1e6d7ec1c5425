"""The time that this package adds to Data-Juicer's start, and the time before the first row of a recipe that uses it.

    python benchmarks/startup.py [--runs 5]

Each command runs with the plugin and with the plugin hidden, in turns. The figures are medians and their difference.
The recipe without our operators filters ten rows by length. The recipe with our operators is the process of
`recipes/select_only.yaml` on ten rows. Its additional time is mostly for loading torch, sentence-transformers and the
model.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jsonlines
import yaml
from common import SAMPLE, median, read_rows, run, table

NO_PLUGIN = """
import importlib.metadata as metadata
found = metadata.entry_points
metadata.entry_points = lambda **group: () if group == {"group": "data_juicer.ops"} else found(**group)
"""
DJ_PROCESS = "import sys\nfrom data_juicer.tools.process_data import main\nsys.argv[0] = 'dj-process'\nmain()\n"
FILTER = [{"text_length_filter": {"min_len": 1, "text_key": "instruction"}}]
SELECT = [{"topic_cluster_grouper": {}}, {"facility_location_selector": {}}, {"topic_reverse_grouper": {}}]


def recipe(folder: Path, name: str, process: Sequence[dict]) -> list[str]:
    """Write a recipe over ten rows and return the arguments that run it."""
    data = folder / "rows.jsonl"
    with jsonlines.open(data, "w") as lines:
        lines.write_all(read_rows(SAMPLE, 10))
    path = folder / f"{name}.yaml"
    content = {
        "dataset_path": str(data),
        "export_path": str(folder / name / "out.jsonl"),
        "np": 1,
        "text_keys": ["instruction", "output"],
        "open_monitor": False,
        "use_cache": False,
        "process": list(process),
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return ["--config", str(path)]


def seconds(code: str, arguments: Sequence[str]) -> float:
    """Return the seconds that a new Python process takes to run code."""
    return run([sys.executable, "-c", code, *arguments])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs per side (default: 5)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = {
            "import data_juicer.ops": ("import data_juicer.ops", []),
            "dj-process --help": (DJ_PROCESS, ["--help"]),
            "dj-process, a recipe that does not use it": (DJ_PROCESS, recipe(folder, "filter", FILTER)),
        }
        lines = []
        for label, (code, arguments) in commands.items():
            seconds(code, arguments)  # fills the file cache
            pairs = [(seconds(NO_PLUGIN + code, arguments), seconds(code, arguments)) for _ in range(runs)]
            without, with_plugin = (median(side) for side in zip(*pairs, strict=True))
            lines.append([label, f"{without:.2f}", f"{with_plugin:.2f}", f"{with_plugin - without:+.2f}"])
        selecting = median([seconds(DJ_PROCESS, recipe(folder, "select", SELECT)) for _ in range(runs)])
        lines.append(["dj-process, ten rows selected", "", f"{selecting:.2f}", f"{selecting - with_plugin:+.2f}"])
    print(table(("median seconds", "without the plugin", "with it", "more"), lines))


if __name__ == "__main__":
    main()
