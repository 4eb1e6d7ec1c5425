"""Rows of a task that a tiny model learns within seconds, and the model."""

from __future__ import annotations

import random
import tempfile
from functools import lru_cache
from pathlib import Path

from mergeit_ops.training.encoded_sets import encoded_set
from mergeit_ops.training.encoding import RowEncoder
from mergeit_ops.training.reading import TrainingSet, read_training_set
from mergeit_ops.training.settings import FineTuningSettings
from mergeit_ops.training.student import Student, load_student
from tests.recipe_runs import write_jsonl
from tests.tiny_models import save_rambler

SETTINGS = FineTuningSettings(layers=1, learning_rate=0.02, step_tokens=64, max_length=128)
LETTERS = "abcdefgh"


@lru_cache
def student_folder() -> str:
    """A model of two layers with a chat template and random weights; made once."""
    return save_rambler(Path(tempfile.mkdtemp(prefix="tiny-student-")))


def rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows whose answers repeat a letter of the question: what no answer of another row does."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        letter = chance.choice(LETTERS)
        noise = "".join(chance.choices("0123456789", k=6))
        found.append({"instruction": f"{noise} {letter * 3}", "input": "", "output": letter * chance.randint(4, 9)})
    return found


def student(settings: FineTuningSettings = SETTINGS, bfloat16: bool | None = None) -> Student:
    """The student, loaded anew."""
    return load_student(student_folder(), settings, "cpu", bfloat16)


def encoded(folder: Path, name: str, content: list[dict[str, str]], most_tokens: int = 128):
    """Rows as tokens of the student, through a file."""
    return encoded_set(read(folder, name, content), RowEncoder(student().tokenizer, most_tokens))


def read(folder: Path, name: str, content: list[dict[str, str]]) -> TrainingSet:
    """Rows through a file."""
    return read_training_set(write_jsonl(folder / f"{name}.jsonl", content))
