"""From files to an experiment: what is read, how much is trained on, and the sentences about both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mergeit_ops.compare.reading import short_names
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.plan import EncodedSet, encoded_set
from mergeit_ops.training.reading import question_of, read_training_set
from mergeit_ops.training.student import Student

__all__ = ["Prepared", "budget_of", "description_of", "notes_on", "prepared"]

_FEWEST_HELD_OUT = 10


@dataclass(frozen=True)
class Prepared:
    """What is trained and measured on.

    :param sets: each with its name.
    :param pool: random rows are drawn from it.
    :param held_out: rows of which the losses are measured.
    """

    sets: Sequence[tuple[str, EncodedSet]]
    pool: EncodedSet
    held_out: EncodedSet


def prepared(
    files: Sequence[Path],
    pool: Path,
    held_out: Path,
    layout: Mapping[str, Any],
    encoder: RowEncoder,
    say: Callable[[str], None],
) -> Prepared:
    """Read all files, the held-out rows first: no other row may ask what they ask.

    :param files: the sets.
    :param pool: random rows are drawn from it.
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
    say(f"Reading {pool} ...")
    random = encoded_set(read_training_set(pool, layout, asked), encoder)
    sets = []
    for name, path in zip(short_names(files), files, strict=True):
        say(f"Reading {path} ...")
        sets.append((name, encoded_set(read_training_set(path, layout, asked), encoder)))
    return Prepared(sets, random, measured)


def budget_of(found: Prepared, asked: int | None) -> int:
    """Return how many answer tokens each set is trained on.

    :param found: the rows.
    :param asked: what the user wants; None: as many as the smallest set has, or half of what the pool has.
    :raises DatasetError: if the pool has less than twice as many.
    """
    most = found.pool.answer_tokens // 2
    budget = asked if asked is not None else min(most, *(one.answer_tokens for _, one in found.sets))
    if budget > most or not budget:
        raise DatasetError(
            f"--pool: {found.pool.read.path} has {found.pool.answer_tokens:,} answer tokens, and random rows of twice "
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
    yield from _left_out("pool", found.pool)
    if 4 * budget > found.pool.answer_tokens:
        yield (
            f"The pool has {found.pool.answer_tokens / budget:.1f} times the tokens of a set: draws of it share many "
            "of their rows, so that they vary less than draws of a larger pool would."
        )
    for name, one in found.sets:
        yield from _left_out(name, one)
        if one.answer_tokens < budget:
            how = f"its rows are repeated {budget / one.answer_tokens:.2f} times"
        elif one.answer_tokens < budget + max(row.answer_tokens for row in one.rows):
            how = "all of its rows are trained on"
        else:
            how = f"each draw takes {budget / one.answer_tokens:.0%} of them at random"
        yield f"{name}: {len(one.rows):,} rows with {one.answer_tokens:,} answer tokens; {how}."


def description_of(student: Student, found: Prepared, budget: int, seed: int) -> dict[str, Any]:
    """Return all that the losses depend on beside the sets.

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
        "pool": found.pool.read.digest,
        "heldout": found.held_out.read.digest,
    }


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
