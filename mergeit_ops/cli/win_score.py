"""`win-score`: compare two models by the scores of a judge that saw their answers in both orders."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.core.measures.win_score import UNREADABLE, Scores, Tally, contradict, outcome, read_scores, scores_of
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.errors import DatasetError

if TYPE_CHECKING:
    from mergeit_ops.core.measures.bootstrap import Interval
    from mergeit_ops.core.measures.win_score import Outcome

NAME = "win-score"
HELP = "Count how often model A beats model B, from two files of a judge's scores: A shown first, and B shown first."
EXAMPLE = (
    """echo '{"id": 1, "score_a": 8, "score_b": 6}' | tee a_first.jsonl > b_first.jsonl""",
    "win-score a_first.jsonl b_first.jsonl",
)

_ALL = "all"
_NO_SET = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.epilog = (
        "Each line of both files is a JSON object with id (the question), optionally set (its test set), and either "
        "score_a and score_b (the scores of models A and B) or judgement (the whole answer of the judge, which has the "
        "scores of the first and the second answer in its first line)."
    )
    parser.add_argument("order1", type=Path, metavar="ORDER1", help="scores with the answer of model A shown first")
    parser.add_argument("order2", type=Path, metavar="ORDER2", help="scores with the answer of model B shown first")
    parser.add_argument(
        "--unreadable",
        choices=UNREADABLE,
        default=UNREADABLE[0],
        help="how to count a judgement without two scores: tie: a tie in its order (the default); exclude: leave its "
        "question out",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")


def run(options: argparse.Namespace) -> int:
    """Read the files, count and print."""
    if options.order1 == options.order2:
        raise DatasetError(f"ORDER1 and ORDER2 are both {options.order1}; each order needs its own file.")
    first, second = _read(options.order1, 0), _read(options.order2, 1)
    for here, there, path in ((first, second, options.order2), (second, first, options.order1)):
        missing = next((key for key in here if key not in there), None)
        if missing is not None:
            raise DatasetError(f"{path} has no row for {_named(missing)}, but the other file has one.")
    if not first:
        raise DatasetError(f"{options.order1} and {options.order2} have no rows.")
    found = [
        _Question(set_name, first[set_name, name], second[set_name, name], options.unreadable)
        for set_name, name in first
    ]
    figures = list(_figures(found))
    unreadable = sum(scores is None for question in found for scores in (question.first, question.second))
    if options.json:
        say(as_json(_as_json(figures, found, unreadable), indent=2))
    else:
        say("\n".join(_table(figures)))
        say("\n".join(_remarks(found, unreadable, options.unreadable)))
    return 0


_Key = tuple[str, str]


@dataclass(frozen=True)
class _Question:
    """A question and its two judgements.

    :param set_name: name of the test set.
    :param first: scores of A and B with A shown first; None: they could not be read.
    :param second: scores of A and B with B shown first; None: they could not be read.
    :param unreadable: how to count such a judgement, one of `UNREADABLE`.
    """

    set_name: str
    first: Scores | None
    second: Scores | None
    unreadable: Any

    @property
    def outcome(self) -> Outcome | None:
        """The outcome for A; None if the question is left out."""
        return outcome(self.first, self.second, self.unreadable)

    @property
    def contradicts_itself(self) -> bool:
        """Whether the two orders have different winners."""
        return contradict(self.first, self.second)


@dataclass(frozen=True)
class _Figures:
    """The figures of a set, or of all questions.

    :param name: name of the set.
    :param tally: wins, ties and losses.
    :param interval: 95 % interval of the win score.
    """

    name: str
    tally: Tally
    interval: Interval


def _figures(found: Iterable[_Question]) -> Iterable[_Figures]:
    from mergeit_ops.core.measures.bootstrap import mean_interval

    by_set: dict[str, list[Outcome]] = {}
    for question in found:
        if question.outcome is not None:
            by_set.setdefault(question.set_name, []).append(question.outcome)
    if not by_set:
        raise DatasetError("No question counts, because no question has readable scores in both orders.")
    pooled = [value for outcomes in by_set.values() for value in outcomes]
    named = list(by_set.items()) if len(by_set) > 1 else []
    for name, outcomes in (*named, (_ALL, pooled)):
        yield _Figures(name, Tally.of(outcomes), mean_interval([value + 1 for value in outcomes]))


def _table(figures: Iterable[_Figures]) -> Iterable[str]:
    width = max(len(part.name) for part in figures)
    yield f"{'':{width}}  questions   wins   ties  losses  win score  95 % interval"
    for part in figures:
        tally = part.tally
        yield (
            f"{part.name:{width}}  {tally.questions:>9,} {tally.wins:>6,} {tally.ties:>6,} {tally.losses:>7,}  "
            f"{tally.win_score:>9.4f}  {_ends(part.interval)}"
        )


def _ends(interval: Interval) -> str:
    return "-" if interval.low is None else f"{interval.low:.4f} to {interval.high:.4f}"


def _remarks(found: list[_Question], unreadable: int, rule: str) -> Iterable[str]:
    if unreadable:
        became = (
            agree(unreadable, "it counts as a tie in its order", "they count as ties in their order")
            if rule == "tie"
            else agree(unreadable, "its question is left out", "their questions are left out")
        )
        verb = agree(unreadable, "does", "do")
        yield f"{unreadable:,} of {2 * len(found):,} judgements {verb} not have two scores; {became}."
    torn = sum(question.contradicts_itself for question in found)
    ties = agree(torn, "this is a tie", "these are ties")
    yield f"In {torn:,} of {many(len(found), 'question')}, the winner depends on the order; {ties}."


def _as_json(figures: Iterable[_Figures], found: list[_Question], unreadable: int) -> dict[str, Any]:
    def plain(part: _Figures) -> dict[str, Any]:
        tally = part.tally
        counts = {"questions": tally.questions, "wins": tally.wins, "ties": tally.ties, "losses": tally.losses}
        return {**counts, "win_score": tally.win_score, "low": part.interval.low, "high": part.interval.high}

    *sets, pooled = figures
    return {
        **plain(pooled),
        "sets": {part.name: plain(part) for part in sets},
        "unreadable_judgements": unreadable,
        "contradictions": sum(question.contradicts_itself for question in found),
    }


def _read(path: Path, order: int) -> dict[_Key, Scores | None]:
    from mergeit_ops.runs.export_files import read_rows

    if not path.is_file():
        raise DatasetError(f"There is no file {path}.")
    found: dict[_Key, Scores | None] = {}
    for number, row in enumerate(read_rows(path), start=1):
        where = f"{path}, row {number}"
        if not isinstance(row.get("id"), (str, int)) or isinstance(row["id"], bool):
            raise DatasetError(f"{where}: id must name the question, got {row.get('id')!r}.")
        key = (str(_NO_SET if row.get("set") is None else row["set"]), str(row["id"]))
        if key in found:
            raise DatasetError(f"{where}: {_named(key)} appears twice.")
        found[key] = _scores(row, order, where)
    return found


def _scores(row: Mapping[str, Any], order: int, where: str) -> Scores | None:
    by_model, said = {"score_a", "score_b"} <= row.keys(), "judgement" in row
    if by_model == said:
        raise DatasetError(
            f"{where}: a row needs either score_a and score_b, or judgement; this row has {', '.join(row)}."
        )
    if by_model:
        for name in ("score_a", "score_b"):
            if not isinstance(row[name], (int, float, type(None))) or isinstance(row[name], bool):
                raise DatasetError(f"{where}: {name} must be a number or null, got {row[name]!r}.")
        return scores_of(row["score_a"], row["score_b"])
    if not isinstance(row["judgement"], (str, type(None))):
        raise DatasetError(f"{where}: judgement must be the answer of the judge as text, got {row['judgement']!r}.")
    shown = read_scores(row["judgement"] or "")
    # In the second file, the answer of model B is the first one.

    return shown if shown is None or order == 0 else Scores(shown.b, shown.a)


def _named(key: _Key) -> str:
    set_name, name = key
    return f"question {name}" if set_name == _NO_SET else f"question {name} of {set_name}"
