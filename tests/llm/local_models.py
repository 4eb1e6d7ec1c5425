"""Tiny local models, and what they are asked."""

from __future__ import annotations

from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.local_model import LocalModel
from mergeit_ops.llm.local_sampling import read_sampling

GREEDY = {"temperature": 0}


MERGES = [
    ['{"instruction": "', verb, ' both.", ', '"input": "", "output": "Done."}']
    for verb in ("Explain", "Compare", "List")
]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def generate(model: LocalModel, texts: list[str], params: dict) -> list[Completion]:
    return model.generate([model.prompt(user(text), read_sampling(params)) for text in texts])
