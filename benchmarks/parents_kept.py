"""How well the kept share of each parent separates merges that lost a parent from merges that kept both.

    python benchmarks/parents_kept.py [--rows my.jsonl] [--pairs 200]
    python benchmarks/parents_kept.py --labels benchmarks/merge_labels.jsonl --merges merges.jsonl

Without labels, the script pairs similar rows like the merger. From each pair it builds merges that keep both answers
(joined, woven, condensed, ...) and merges that drop one (one parent alone, or padded with other text). It prints the
kept share of every kind, the share of merges that several thresholds refuse, and the ROC AUC of every kind that keeps
both against every kind that drops one.

With labels, it uses merges that small models wrote and that language models labelled in two readings. The labels have
no texts, because the licences do not allow us to publish them. `--merges` is a file with the texts: for each merge
`parents` and `merged`, rows of instruction, input and output. A label belongs to the merge with its `merged_sha256`.
The threshold was chosen on the pairs with an even number, so judge it on the pairs with an odd number.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import jsonlines
import numpy as np

from mergeit_ops.core.merging.pairing import find_groups
from mergeit_ops.core.merging.parent_kept import least_kept, parents_kept
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.sentences import split_sentences
from mergeit_ops.embedding import load_encoder
from mergeit_ops.scorers.padding_sentences import HELD_OUT_FILLER

SAMPLE = Path(__file__).resolve().parents[1] / "recipes" / "data" / "sample_instructions.jsonl"
SIMILARITY = 0.55
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)

Parts = list[str]
Variant = Callable[[Parts, Parts, "Texts"], str]


class Texts:
    """Further input of a variant, besides the two answers.

    :param rng: random numbers for this pair.
    :param foreign: sentences of an answer to an unrelated question.
    :param same_topic: sentences of the answer to the question that is most similar to that of the dropped parent.
    """

    def __init__(self, rng: random.Random, foreign: Parts, same_topic: Parts) -> None:
        self.rng = rng
        self.foreign = foreign
        self.same_topic = same_topic


def interleaved(a: Parts, b: Parts) -> Parts:
    woven = [part for pair in zip(a, b, strict=False) for part in pair]
    shorter = min(len(a), len(b))
    return woven + a[shorter:] + b[shorter:]


def shuffled(parts: Parts, rng: random.Random) -> Parts:
    return rng.sample(parts, len(parts))


def ended(part: str) -> str:
    return part if part[-1] in ".!?:;" else f"{part}."


def condensed(part: str, rng: random.Random) -> str:
    """Leave out three words in ten."""
    words = part.split()
    kept = sorted(rng.sample(range(len(words)), max(1, round(0.7 * len(words)))))
    return " ".join(words[number] for number in kept)


def shortened(part: str) -> str:
    """Keep the first two thirds of the words."""
    words = part.split()
    return " ".join(words[: max(1, round(len(words) * 2 / 3))])


def fused(a: Parts, b: Parts) -> Parts:
    """Make one sentence of every two, one from each side."""
    pairs = [f"{x.rstrip('.!?')}, and {y}" for x, y in zip(a, b, strict=False)]
    shorter = min(len(a), len(b))
    return pairs + a[shorter:] + b[shorter:]


KEPT: dict[str, Variant] = {
    "joined": lambda a, b, texts: "\n\n".join(["\n".join(a), "\n".join(b)]),
    "interleaved": lambda a, b, texts: "\n".join(interleaved(a, b)),
    "shuffled, in one paragraph": lambda a, b, texts: " ".join(map(ended, shuffled(a + b, texts.rng))),
    "three words in ten left out": lambda a, b, texts: "\n".join(condensed(part, texts.rng) for part in a + b),
    "sentences cut to two thirds": lambda a, b, texts: "\n".join(map(shortened, interleaved(a, b))),
    "two sentences made one": lambda a, b, texts: " ".join(map(ended, fused(a, b))),
    "all in one sentence": lambda a, b, texts: "; ".join(part.rstrip(".!?") for part in a + b) + ".",
}
DROPPED: dict[str, Variant] = {
    "one parent alone": lambda a, b, texts: "\n".join(a),
    "one parent and stock phrases": lambda a, b, texts: "\n".join(
        a + texts.rng.sample(HELD_OUT_FILLER, min(len(HELD_OUT_FILLER), len(b)))
    ),
    "one parent and unrelated text": lambda a, b, texts: "\n".join(a + texts.foreign),
    "one parent and text of the same topic": lambda a, b, texts: "\n".join(a + texts.same_topic),
}
IN_PART: dict[str, Variant] = {
    "half of the second parent's sentences": lambda a, b, texts: "\n".join(a + b[: max(1, len(b) // 2)]),
}


def read_samples(path: Path) -> list[Sample]:
    """Read the rows with an answer, one for each question."""
    found: dict[str, Sample] = {}
    with jsonlines.open(path) as rows:
        for row in rows.iter(type=dict):
            sample = Sample(str(row["instruction"]), str(row.get("input") or ""), str(row["output"]))
            if split_sentences(sample.output) and sample.query:
                found.setdefault(sample.query.lower(), sample)
    return list(found.values())


def measure(path: Path, pairs: int, seed: int = 42) -> dict[str, np.ndarray]:
    """Return the kept share of the parent that is kept least, for each variant and pair.

    :param path: JSON Lines with `instruction`, `output` and optionally `input`.
    :param pairs: maximum number of pairs.
    :param seed: seed of pairs and draws.
    """
    rng = random.Random(seed)
    samples = read_samples(path)
    queries = load_encoder().encode([sample.query for sample in samples])
    cosine = queries @ queries.T
    groups = [group.members for group in find_groups(queries, SIMILARITY)]
    answers = [split_sentences(sample.output) for sample in samples]
    # If both parents say the same, a merge cannot drop anything.
    groups = [(i, j) for i, j in groups if not set(answers[i]) & set(answers[j])]
    shares: dict[str, list[float]] = {}
    for pair in rng.sample(groups, min(pairs, len(groups))):
        kept, dropped = rng.sample(pair, 2)
        others = cosine[dropped].copy()
        others[[kept, dropped]] = -1.0
        unrelated = [number for number in range(len(samples)) if cosine[dropped, number] < 0.2]
        texts = Texts(rng, answers[rng.choice(unrelated)], answers[int(np.argmax(others))])
        for name, build in (KEPT | DROPPED | IN_PART).items():
            merged = Sample("", "", build(answers[kept], answers[dropped], texts))
            parents = parents_kept([samples[kept], samples[dropped]], merged)
            shares.setdefault(name, []).append(min(parent.answer for parent in parents))
    return {name: np.array(values) for name, values in shares.items()}


def auc(kept: np.ndarray, dropped: np.ndarray) -> float:
    """Return the ROC AUC: the probability that a merge that keeps both has a larger share than one that drops one."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.r_[np.ones(len(kept)), np.zeros(len(dropped))], np.r_[kept, dropped]))


def separation(shares: dict[str, np.ndarray]) -> np.ndarray:
    """Return the (kept, dropped) matrix of ROC AUCs."""
    return np.array([[auc(shares[kept], shares[dropped]) for dropped in DROPPED] for kept in KEPT])


def labelled(labels: Path, merges: Path) -> None:
    """Print how well the shares separate the labelled merges."""
    texts = {}
    with jsonlines.open(merges) as rows:
        for row in rows.iter(type=dict):
            texts[merged_sha256(row["merged"])] = row
    with jsonlines.open(labels) as rows:
        known = [(label, texts[label["merged_sha256"]]) for label in rows if label["merged_sha256"] in texts]
    shares: dict[tuple[int, bool], list[float]] = {}
    for label, row in known:
        share = least_kept([Sample(**parent) for parent in row["parents"]], Sample(**row["merged"]))
        shares.setdefault((label["pair"] % 2, any(label["lost"])), []).append(share)
    print(
        f"{len(known)} labelled merges\n\n| half | lossy | faithful | ROC AUC | "
        + " | ".join(f"below {threshold:g}: found, refused" for threshold in THRESHOLDS)
        + " |"
    )
    print("|---" * (4 + len(THRESHOLDS)) + "|")
    for half, name in ((0, "even"), (1, "odd")):
        lossy, faithful = (np.array(shares.get((half, lost), [])) for lost in (True, False))
        below = " | ".join(f"{(lossy < t).mean():.0%}, {(faithful < t).mean():.0%}" for t in THRESHOLDS)
        print(f"| {name} | {len(lossy)} | {len(faithful)} | {auc(faithful, lossy):.3f} | {below} |")


def merged_sha256(merged: dict[str, str]) -> str:
    """Return the id of a merge: the hash of its three texts."""
    return hashlib.sha256("\0".join(merged[name] for name in ("instruction", "input", "output")).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=SAMPLE, help="JSON Lines: instruction, input, output")
    parser.add_argument("--pairs", type=int, default=200, help="maximum number of pairs (default: 200)")
    parser.add_argument("--seed", type=int, default=42, help="seed of pairs and draws")
    parser.add_argument("--labels", type=Path, help="JSON Lines of labels; needs --merges")
    parser.add_argument("--merges", type=Path, help="JSON Lines of the labelled merges: parents, merged")
    arguments = parser.parse_args()
    if arguments.labels is not None:
        labelled(arguments.labels, arguments.merges)
        return
    shares = measure(arguments.rows, arguments.pairs, arguments.seed)
    print(f"{len(next(iter(shares.values())))} pairs of {arguments.rows.name}\n")
    print("| merge | median | 5 % | 95 % | " + " | ".join(f"below {t:g}" for t in THRESHOLDS) + " |")
    print("|---" * (4 + len(THRESHOLDS)) + "|")
    for name, values in shares.items():
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        below = " | ".join(f"{(values < threshold).mean():.1%}" for threshold in THRESHOLDS)
        print(f"| {name} | {middle:.2f} | {low:.2f} | {high:.2f} | {below} |")
    matrix = separation(shares)
    print("\nROC AUC\n\n| kept \\ dropped | " + " | ".join(DROPPED) + " |\n" + "|---" * (1 + len(DROPPED)) + "|")
    for name, row in zip(KEPT, matrix, strict=True):
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    print(f"\nlowest {matrix.min():.3f}, mean {matrix.mean():.3f}")


if __name__ == "__main__":
    main()
