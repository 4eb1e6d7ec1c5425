"""A benchmark made from rows of the bundled sample, and rows that are or are not copied from it.

Each row of the benchmark has a verbatim copy in another form, a near copy with a few changed words, a paraphrase
written by hand, and a near miss: another question on the same topic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["KINDS", "benchmark_rows", "planted_rows"]

KINDS = ("verbatim", "near copy", "paraphrase", "near miss")

# For each row id of the sample: a near copy of its question, a paraphrase, and a near miss.
_PLANTS: Mapping[str, tuple[str, str, str]] = {
    "s0406": (
        "Why does iron rust and silver does not?",
        "For what reason does gold stay shiny while iron goes rusty?",
        "How do I remove rust from an iron pan?",
    ),
    "s0085": (
        "List some arguments for and against school uniforms.",
        "What speaks in favour of pupils wearing uniforms at school, and what against it?",
        "Design a school uniform for a hot climate.",
    ),
    "s0169": (
        "My basil from the market always dies within one week. What am I doing wrong?",
        "Why do the basil plants that I buy at the grocery store never survive longer than seven days?",
        "Which dishes can I cook with the basil from the supermarket?",
    ),
    "s0162": (
        "Explain the STAR method for job interview answers.",
        "How does one structure replies in a job interview with Situation, Task, Action, Result?",
        "Which questions should I ask at the end of an interview?",
    ),
    "s0039": (
        "Explain recursion to a beginner using an everyday comparison.",
        "Use an analogy from daily life to teach a novice programmer what recursion is.",
        "Write a recursive function that computes the factorial of a number.",
    ),
    "s0112": (
        "A tap fills a tub in 6 hours, and an open drain empties it in 9 hours. How long does it take to fill the tub "
        "with the drain open?",
        "Water flows into a tank that would be full after six hours, while a leak would empty it in nine. With both at "
        "work, after how many hours is it full?",
        "A pump of 300 watts runs for 6 hours to fill a tank. How much energy does it use?",
    ),
    "s0384": (
        "How many kilometers is one light-year?",
        "What distance in km does light travel in a year?",
        "How many minutes does light take from the sun to the earth?",
    ),
    "s0327": (
        "Is it better to do cardio or weight training first in one session?",
        "When I combine lifting and endurance exercise in a workout, which should come first?",
        "How many times a week should a beginner do strength training?",
    ),
    "s0412": (
        "When did the First World War in Europe begin and end?",
        "In which years did World War II start and finish on the European continent?",
        "Which countries were neutral in the Second World War?",
    ),
    "s0060": (
        "Write a letter to my future self, twenty years from now.",
        "Compose a message that I will read a decade from today, addressed to me.",
        "Write a letter of complaint to my landlord about the heating.",
    ),
    "s0132": (
        "Show a bash command that finds the five largest files below the current directory.",
        "How do I list the 10 files that take the most space under my working folder in the shell?",
        "Show a bash command that counts the lines of all files below the current directory.",
    ),
    "s0362": (
        "How can parents limit the screen time of their children?",
        "What are ways for mothers and fathers to get their kids to spend fewer hours on phones and tablets?",
        "At what age should children get their first phone?",
    ),
}


def benchmark_rows(sample: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the benchmark.

    :param sample: the rows of the sample that ships.
    """
    by_id = {row["id"]: row for row in sample}
    return [{name: by_id[key][name] for name in ("instruction", "input", "output")} for key in _PLANTS]


def planted_rows(sample: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the copied rows and the near misses; `kind` says which each row is.

    :param sample: the rows of the sample that ships.
    """
    rows = []
    for row, plants in zip(benchmark_rows(sample), _PLANTS.values(), strict=True):
        copy = row | {"instruction": f"  {row['instruction'].upper()}\n", "output": row["output"].replace(", ", " ")}
        near = {"instruction": plants[0], "input": row["input"], "output": _without_every_ninth_word(row["output"])}
        others = ({"instruction": plant, "input": "", "output": "An answer of its own."} for plant in plants[1:])
        rows += [found | {"kind": kind} for found, kind in zip((copy, near, *others), KINDS, strict=True)]
    return rows


def _without_every_ninth_word(text: str) -> str:
    return " ".join(word for number, word in enumerate(text.split(), start=1) if number % 9)
