"""Preparing an experiment: reading its files, choosing its answer tokens, and notes about both."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergeit_ops.compare.reading import short_names
from mergeit_ops.core.text.counts import agree, many
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
    """The rows of an experiment.

    :param sets: name and rows of each set.
    :param pools: random rows are drawn from them.
    :param held_out: rows whose losses are measured.
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
    """Read all files.

    The held-out rows are read first, because rows with the question of a held-out row are left out of all other files.

    :param files: paths of the sets; see `files_of`.
    :param pools: paths of the pools. All draws use one pool, or each draw uses its own pool.
    :param held_out: path of the rows whose losses are measured.
    :param layout: parameters of `resolve_format`, the same for all files.
    :param encoder: encoder of the student.
    :param say: called with each line of progress.
    :raises DatasetError: if a file cannot be used.
    """
    say(f"Reading {held_out} ...")
    measured = encoded_set(read_training_set(held_out, layout), encoder)
    if len(measured.rows) < _FEWEST_HELD_OUT:
        raise DatasetError(
            f"--heldout: {held_out} has {many(len(measured.rows), 'row')} that can be measured; give at least "
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
    """Return the number of answer tokens of each training.

    :param found: the rows.
    :param asked: value of `--answer-tokens`; None: that of the smallest set, but at most half of the smallest pool.
    :raises DatasetError: if a pool has fewer than twice as many answer tokens.
    """
    least = min(found.pools, key=lambda pool: pool.answer_tokens)
    most = least.answer_tokens // 2
    budget = asked if asked is not None else min(most, *(one.answer_tokens for _, own in found.sets for one in own))
    if budget > most or not budget:
        raise DatasetError(
            f"--pool: {least.read.path} has {least.answer_tokens:,} answer tokens, but a control needs random rows "
            f"with twice the {budget:,} of --answer-tokens: lower it to at most {most:,}, or give a larger pool."
        )
    return budget


def notes_on(found: Prepared, encoder: RowEncoder, budget: int) -> Iterator[str]:
    """Yield what the user should know about the rows before the trainings.

    :param found: the rows.
    :param encoder: encoder of the student.
    :param budget: answer tokens of each training.
    """
    if not encoder.has_template:
        yield "The student has no chat template: the speakers become headings of the texts."
    yield f"{len(found.held_out.rows):,} held-out rows with {found.held_out.answer_tokens:,} answer tokens."
    yield from _left_out("heldout", found.held_out)
    for name, one in found.pools.labelled("pool"):
        yield from _left_out(name, one)
    yield from _notes_on_pools(found.pools, budget)
    for name, one in ((name, one) for given, own in found.sets for name, one in own.labelled(given)):
        yield from _left_out(name, one)
        if one.answer_tokens < budget:
            how = f"each training repeats them {budget / one.answer_tokens:.2f} times"
        elif one.answer_tokens < budget + max(row.answer_tokens for row in one.rows):
            how = "each training uses all of them"
        else:
            how = f"each draw takes {budget / one.answer_tokens:.0%} of them at random"
        yield f"{name}: {many(len(one.rows), 'row')} with {one.answer_tokens:,} answer tokens; {how}."


def description_of(student: Student, found: Prepared, budget: int, seed: int) -> dict[str, Any]:
    """Return everything that the losses depend on, except the sets and pools, which each result names.

    :param student: the model to train.
    :param found: the rows.
    :param budget: answer tokens of each training.
    :param seed: seed of the draws.
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
                f"{shared:,} of the {len(times):,} rows {agree(shared, 'is', 'are')} in several pools: the intervals "
                "assume pools without common rows, so they are too short here."
            )
        return
    (pool,) = pools
    if 4 * budget > pool.answer_tokens:
        yield (
            f"The pool has {pool.answer_tokens / budget:.1f} times the tokens of a set: its draws share many of their "
            "rows, so they vary less than draws from a larger pool."
        )


def _left_out(name: str, one: EncodedSet) -> Iterator[str]:
    counts = {
        "without a question or an answer, left out": one.read.without_text,
        "with the question of a held-out row, left out": one.read.asks_held_out,
        "whose question leaves no room for an answer, left out": one.too_long,
        "whose answer is cut at the end": one.cut,
        "with parts other than text, which are not trained on": one.read.more_than_text,
        "with tool calls that the student's chat template does not write": one.calls_lost,
    }
    for what, number in counts.items():
        if number:
            yield f"{name}: {many(number, 'row')} {what}."
