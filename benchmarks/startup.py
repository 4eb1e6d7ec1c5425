"""What this package adds to Data-Juicer's start: the same import with and without the plugin, turn about.

    python benchmarks/startup.py [--runs 7]

Prints the median seconds of both sides, their difference and their ratio.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from statistics import median

WITH = "import data_juicer.ops"
# The same start, told that there is no plugin.
WITHOUT = (
    """
import importlib.metadata as metadata
found = metadata.entry_points
metadata.entry_points = lambda **group: () if group == {"group": "data_juicer.ops"} else found(**group)
"""
    + WITH
)


def seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7, help="starts per side (default: 7)")
    runs = parser.parse_args().runs
    seconds(WITH)  # fills the file cache
    pairs = [(seconds(WITHOUT), seconds(WITH)) for _ in range(runs)]
    without, with_plugin = (median(side) for side in zip(*pairs, strict=True))
    print("| start of Data-Juicer | median seconds |\n|---|---|")
    print(f"| without the plugin | {without:.3f} |\n| with it | {with_plugin:.3f} |")
    print(f"\nadded: {with_plugin - without:.3f} s, ratio {with_plugin / without:.3f}")


if __name__ == "__main__":
    main()
