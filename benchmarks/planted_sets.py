"""Sets with planted differences, to see whether `train-eval` detects them, and how many draws it needs.

    python benchmarks/planted_sets.py ROWS.jsonl OFF_TOPIC.jsonl FOLDER [--heldout 100] [--answer-tokens 4000]

ROWS are Alpaca rows, OFF_TOPIC rows of another kind in the same columns. The script writes into FOLDER `heldout.jsonl`
and `pool.jsonl`, both from ROWS, and sets made from the pool:

| file | what is planted |
|---|---|
| `swapped_10`, `swapped_25`, `swapped_50` | 10, 25 or 50 % of the rows have the answer of another row |
| `copies` | four copies of rows with a quarter of the tokens of a training |
| `off_topic` | every second row is from OFF_TOPIC |

An unchanged row has the same id in a set and in the pool, so a draw takes it for both, and only the planted rows make a
difference. Then train on the sets:

    python -m mergeit_ops train-eval FOLDER/swapped_*.jsonl FOLDER/copies.jsonl FOLDER/off_topic.jsonl
        --pool FOLDER/pool.jsonl --heldout FOLDER/heldout.jsonl --student MODEL --answer-tokens 4000
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
SWAPPED = (10, 25, 50)
COPIES = 4
CHARACTERS_PER_TOKEN = 4.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("off_topic", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--heldout", type=int, default=100, help="number of held-out rows")
    parser.add_argument(
        "--answer-tokens", type=int, default=4_000, help="answer tokens of a training, for the number of copies"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    rows = [row for row in read(options.rows) if row["output"].strip()]
    chance.shuffle(rows)
    held_out, pool = rows[: options.heldout], rows[options.heldout :]
    options.folder.mkdir(parents=True, exist_ok=True)
    sets = planted(pool, list(read(options.off_topic)), options.answer_tokens, chance)
    for name, content in {"heldout": held_out, "pool": pool, **sets}.items():
        write(options.folder / f"{name}.jsonl", content)


def planted(
    pool: Sequence[Row], others: Sequence[Row], answer_tokens: int, chance: random.Random
) -> dict[str, list[Row]]:
    """Return sets with planted differences by name.

    :param pool: rows that the sets are made from.
    :param others: rows of another kind, at least half as many.
    :param answer_tokens: answer tokens of a training, for the number of copies.
    :param chance: source of the random choices.
    """
    off_topic = chance.sample(others, len(pool) // 2)
    return {
        **{f"swapped_{percent}": swapped(pool, percent / 100, chance) for percent in SWAPPED},
        "copies": few(pool, answer_tokens // COPIES) * COPIES,
        "off_topic": [*pool[: len(pool) - len(off_topic)], *off_topic],
    }


def read(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def write(path: Path, rows: Iterable[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def swapped(rows: Sequence[Row], share: float, chance: random.Random) -> list[Row]:
    chosen = chance.sample(range(len(rows)), round(share * len(rows)))
    found = list(rows)
    for one, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
        found[one] = {**rows[one], "output": rows[other]["output"]}
    return found


def few(rows: Sequence[Row], tokens: int) -> list[Row]:
    """Return the first rows with about this number of answer tokens."""
    left = tokens * CHARACTERS_PER_TOKEN
    found = []
    for row in rows:
        if left <= 0:
            break
        found.append(row)
        left -= len(row["output"])
    return found


if __name__ == "__main__":
    main()
