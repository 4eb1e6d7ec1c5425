"""From files to an experiment: what is read, how much is trained on, and the sentences about both."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergeit_ops.compare.reading import short_names
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoded_sets import EncodedSet, PerPool, encoded_set
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.pool_files import files_of
from mergeit_ops.training.reading import question_of, read_training_set
from mergeit_ops.training.student import Student

__all__ = ["Prepared", "budget_of", "description_of", "notes_on", "prepared"]

_FEWEST_HELD_OUT = 10


@dataclass(frozen=True)
class Prepared:
    """What is trained and measured on.

    :param sets: each with its name.
    :param pools: random rows are drawn from them.
    :param held_out: rows of which the losses are measured.
    """

    sets: Sequence[tuple[str, PerPool]]
    pools: PerPool
    held_out: EncodedSet


def prepared(
    files: Sequence[Path],
    pools: Sequence[Path],
    held_out: Path,
    layout: Mapping[str, Any],
    encoder: RowEncoder,
    say: Callable[[str], None],
) -> Prepared:
    """Read all files, the held-out rows first: no other row may ask what they ask.

    :param files: the sets; see `files_of`.
    :param pools: random rows are drawn from them: from one in all draws, or from each in one draw.
    :param held_out: rows of which the losses are measured.
    :param layout: parameters of `resolve_format`, of all files.
    :param encoder: of the student.
    :param say: hears of progress.
    :raises DatasetError: if a file cannot be used.
    """
    say(f"Reading {held_out} ...")
    measured = encoded_set(read_training_set(held_out, layout), encoder)
    if len(measured.rows) < _FEWEST_HELD_OUT:
        raise DatasetError(
            f"--heldout: {held_out} gives {len(measured.rows)} rows that can be measured; give at least "
            f"{_FEWEST_HELD_OUT}, better some hundreds."
        )
    asked = frozenset(map(question_of, measured.samples))

    def read(paths: Sequence[Path]) -> PerPool:
        found = []
        for path in paths:
            say(f"Reading {path} ...")
            found.append(encoded_set(read_training_set(path, layout, asked), encoder))
        return PerPool(found)

    random = read(pools)
    sets = [(name, read(files_of(path, pools))) for name, path in zip(short_names(files), files, strict=True)]
    return Prepared(sets, random, measured)


def budget_of(found: Prepared, asked: int | None) -> int:
    """Return how many answer tokens each set is trained on.

    :param found: the rows.
    :param asked: what the user wants; None: as many as the smallest set has, or half of what the pool has.
    :raises DatasetError: if a pool has less than twice as many.
    """
    least = min(found.pools, key=lambda pool: pool.answer_tokens)
    most = least.answer_tokens // 2
    budget = asked if asked is not None else min(most, *(one.answer_tokens for _, own in found.sets for one in own))
    if budget > most or not budget:
        raise DatasetError(
            f"--pool: {least.read.path} has {least.answer_tokens:,} answer tokens, and random rows of twice "
            f"the {budget:,} of --answer-tokens are needed: lower it to at most {most:,}, or give a larger pool."
        )
    return budget


def notes_on(found: Prepared, encoder: RowEncoder, budget: int) -> Iterator[str]:
    """Yield what the user should know of the rows before they are trained on.

    :param found: the rows.
    :param encoder: of the student.
    :param budget: answer tokens of each set.
    """
    if not encoder.has_template:
        yield "The student has no chat template: rows are written with the speakers as headings."
    yield f"{len(found.held_out.rows):,} held-out rows with {found.held_out.answer_tokens:,} answer tokens."
    yield from _left_out("heldout", found.held_out)
    for name, one in found.pools.labelled("pool"):
        yield from _left_out(name, one)
    yield from _notes_on_pools(found.pools, budget)
    for name, one in ((name, one) for given, own in found.sets for name, one in own.labelled(given)):
        yield from _left_out(name, one)
        if one.answer_tokens < budget:
            how = f"its rows are repeated {budget / one.answer_tokens:.2f} times"
        elif one.answer_tokens < budget + max(row.answer_tokens for row in one.rows):
            how = "all of its rows are trained on"
        else:
            how = f"each draw takes {budget / one.answer_tokens:.0%} of them at random"
        yield f"{name}: {len(one.rows):,} rows with {one.answer_tokens:,} answer tokens; {how}."


def description_of(student: Student, found: Prepared, budget: int, seed: int) -> dict[str, Any]:
    """Return all that the losses depend on beside the sets and the pools, which are told apart training by training.

    :param student: to be trained.
    :param found: the rows.
    :param budget: answer tokens of each set.
    :param seed: of the draws.
    """
    return {
        "weights": student.fingerprint,
        "template": hashlib.sha256(str(student.tokenizer.chat_template).encode()).hexdigest()[:20],
        **student.settings.as_dict(),
        "layers": student.layers,
        "device": student.device.type,
        "bfloat16": student.bfloat16,
        "answer_tokens": budget,
        "seed": seed,
        "heldout": found.held_out.read.digest,
    }


def _notes_on_pools(pools: PerPool, budget: int) -> Iterator[str]:
    if len(pools.sets) > 1:
        times = Counter(name for pool in pools for name in pool.ids)
        if shared := sum(count > 1 for count in times.values()):
            yield (
                f"{shared:,} of the {len(times):,} rows are in several pools: intervals are for pools that share none, "
                "and too short for these."
            )
        return
    (pool,) = pools
    if 4 * budget > pool.answer_tokens:
        yield (
            f"The pool has {pool.answer_tokens / budget:.1f} times the tokens of a set: draws of it share many "
            "of their rows, so that they vary less than draws of a larger pool would."
        )


def _left_out(name: str, one: EncodedSet) -> Iterator[str]:
    counts = {
        "without a question or an answer, left out": one.read.without_text,
        "that ask what a held-out row asks, left out": one.read.asks_held_out,
        "whose question leaves no room for an answer, left out": one.too_long,
        "whose answer is cut at the end": one.cut,
        "with parts that are no text, which are not trained on": one.read.more_than_text,
        "with calls of tools that the student's chat template does not write": one.calls_lost,
    }
    for what, number in counts.items():
        if number:
            yield f"{name}: {number:,} rows {what}."
