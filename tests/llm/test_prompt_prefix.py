"""The fixed part of each prompt stands first and is the same in every request: a server reads it once."""

from __future__ import annotations

import itertools
import json

import pytest

from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.prompts import PROMPT_STYLES, build_messages
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.tags.questions import QUESTIONS
from mergeit_ops.llm.client import OpenAICompatibleFactory
from tests.llm.conftest import parents

ROWS = [
    Sample(f"{word} item {number}.", "", f"{number} is a thing.") for number, word in enumerate(["Explain", "List"])
]


def shared_bytes(*conversations) -> int:
    texts = [json.dumps(list(messages)) for messages in conversations]
    return len(list(itertools.takewhile(lambda chars: len(set(chars)) == 1, zip(*texts, strict=False))))


def fixed_bytes(messages) -> int:
    return len(json.dumps(list(messages[:-1]))) - 1


@pytest.mark.parametrize("style", PROMPT_STYLES)
def test_rules_and_examples_of_a_merge_are_one_prefix(style):
    first, second = build_messages(parents(1), style=style), build_messages(parents(2)[::-1], style=style)
    assert first[:-1] == second[:-1]
    assert shared_bytes(first, second) >= fixed_bytes(first) > 400


def test_every_conversation_of_the_merger_has_its_rules_first():
    for kind in (kind for styles in CONVERSATIONS.values() for kind in styles.values()):
        first, second = (kind.messages(parents(number), None) for number in (1, 2))
        assert shared_bytes(first, second) >= fixed_bytes(first)


@pytest.mark.parametrize("tagger", QUESTIONS)
def test_rules_of_tags_stand_first(tagger):
    first, second = (QUESTIONS[tagger].messages(row) for row in ROWS)
    assert shared_bytes(first, second) >= fixed_bytes(first)


def test_nothing_of_a_body_that_differs_from_row_to_row_stands_before_the_messages():
    bodies = [list(OpenAICompatibleFactory("m").body(build_messages(parents(n)), {"max_tokens": n})) for n in (1, 2)]
    assert bodies[0][:2] == bodies[1][:2] == ["model", "messages"]
