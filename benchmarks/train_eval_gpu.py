"""`train-eval` on one GPU within a time limit, with model weights in small files.

    python benchmarks/train_eval_gpu.py pieces MODEL FOLDER      # writes bfloat16 weights in files of at most 60 MB
    cp FOLDER/model-00001-* FOLDER/*.json ... THERE              # in several steps
    python benchmarks/train_eval_gpu.py run THERE SETS --output DIR [--limit-s 480] [--device cuda]

`pieces` writes shards that transformers reads directly, so you need not join them. SETS is a folder from
`planted_sets.py`. `run` writes `results.jsonl`, `figures.json`, `page.html` and `machine.json` (the name and memory of
the device, versions, seconds) into DIR. It starts no training that would end after the limit. With the same DIR, it
continues. Further options are those of `train-eval`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

LARGEST = "60MB"
LIBRARIES = ("mergeit-ops", "torch", "transformers")
CONTROLS = ("pool", "heldout")
MARGIN_S = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    pieces = commands.add_parser("pieces")
    pieces.add_argument("model")
    pieces.add_argument("folder", type=Path)
    pieces.set_defaults(run=write_pieces)
    run = commands.add_parser("run")
    run.add_argument("model", type=Path)
    run.add_argument("sets", type=Path)
    run.add_argument("--output", type=Path, required=True)
    run.add_argument("--limit-s", type=float, default=480)
    run.add_argument("--device", default="cuda")
    run.add_argument("--draws", type=int, default=20)
    run.add_argument("--answer-tokens", type=int, default=20_000)
    run.set_defaults(run=train)
    options, further = parser.parse_known_args()
    options.further = further
    return int(options.run(options))


def write_pieces(options: argparse.Namespace) -> int:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.bfloat16)
    model.save_pretrained(options.folder, max_shard_size=LARGEST)
    AutoTokenizer.from_pretrained(options.model).save_pretrained(options.folder)
    for path in sorted(options.folder.glob("*.safetensors")):
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {path}")
    return 0


def train(options: argparse.Namespace) -> int:
    began = time.time()
    options.output.mkdir(parents=True, exist_ok=True)
    sets = [path for path in sorted(options.sets.glob("*.jsonl")) if path.stem not in CONTROLS]
    command = [
        *(sys.executable, "-m", "mergeit_ops", "train-eval", *map(str, sets)),
        *("--pool", str(options.sets / "pool.jsonl"), "--heldout", str(options.sets / "heldout.jsonl")),
        *("--student", str(options.model), "--device", options.device),
        *("--answer-tokens", str(options.answer_tokens), "--draws", str(options.draws), "--seeds", "1"),
        *("--limit-s", str(max(1.0, options.limit_s - MARGIN_S)), *options.further),
        *("--results", str(options.output / "results.jsonl"), "--output", str(options.output / "page.html"), "--json"),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    (options.output / "figures.json").write_text(done.stdout, encoding="utf-8")
    about = machine(options.device) | {"seconds": round(time.time() - began, 1), "status": done.returncode}
    (options.output / "machine.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(about))
    return done.returncode


def machine(device: str) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"device": device, **{name: version(name) for name in LIBRARIES}}
    if device.startswith("cuda") and torch.cuda.is_available():
        about = torch.cuda.get_device_properties(device)
        found |= {"name": about.name, "memory_gib": round(about.total_memory / 2**30, 1)}
    return found


if __name__ == "__main__":
    raise SystemExit(main())
