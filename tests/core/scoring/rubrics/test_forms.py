"""The replies of every rubric: its golden ones, its scale, and what its prompt and its source say."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JudgeQuestion
from mergeit_ops.core.scoring.rubrics import RUBRICS, Rubric
from mergeit_ops.core.scoring.rubrics.forms import Checklist

every_rubric = pytest.mark.parametrize("rubric", RUBRICS.values(), ids=RUBRICS)


def read(rubric: Rubric, text: str) -> tuple[float, ...] | None:
    try:
        return rubric.form.read(text, rubric.scale)
    except ReplyError:
        return None


GOLDEN = [(rubric, text, values) for rubric in RUBRICS.values() for text, values in rubric.golden.items()]
STRICT = [(rubric, text, values) for rubric in RUBRICS.values() for text, values in rubric.golden_strict.items()]


@pytest.mark.parametrize(("rubric", "text", "values"), GOLDEN, ids=[f"{one[0].name}-{one[1]!r}" for one in GOLDEN])
def test_a_golden_reply_has_its_values(rubric, text, values):
    assert read(rubric, text) == values


@pytest.mark.parametrize(("rubric", "text", "values"), STRICT, ids=[f"{one[0].name}-{one[1]!r}" for one in STRICT])
def test_a_golden_reply_read_strictly_has_its_values(rubric, text, values):
    assert read(rubric.strict(), text) == values


@every_rubric
def test_a_rubric_says_what_it_stands_for_and_has_golden_replies_of_both_sorts(rubric):
    assert rubric.source.endswith(".")
    assert None in rubric.golden.values()
    assert any(rubric.golden.values())


@every_rubric
@pytest.mark.parametrize("reasons", [True, False])
def test_its_prompt_tells_the_scale_or_the_questions(rubric, reasons):
    asked = rubric if reasons else rubric.without_reasons()
    system = JudgeQuestion((asked,)).messages(Sample("a", "b", "c"))[0]["content"]
    said = asked.form.items if isinstance(asked.form, Checklist) else (str(rubric.scale),)
    assert all(text in system for text in said)
    assert rubric.text in system


@every_rubric
def test_without_reasons_a_reply_is_short_and_still_read(rubric):
    alone = rubric.without_reasons()
    assert alone.form.tokens <= min(rubric.form.tokens, 30)
    if isinstance(alone.form, Checklist):
        assert read(alone, "\n".join(f"{number + 1}: yes" for number in range(len(alone.form.items)))) == (1.0, 1.0)
    else:
        assert read(alone, f"{rubric.scale.low:g}") == (rubric.scale.low,)


@every_rubric
def test_the_names_of_its_stats_begin_with_its_own(rubric):
    assert next(iter(rubric.measures.items())) == (rubric.name, f"{rubric.name}_score")
    others = [f"{rubric.name}_pass"] if isinstance(rubric.form, Checklist) else []
    assert list(rubric.measures)[1:] == others


@given(text=st.text() | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_else_or_leaves_the_scale(text):
    forms = [
        form for one in RUBRICS.values() for form in (one, one.without_reasons(), one.strict()) if form is not None
    ]
    for asked in forms:
        with contextlib.suppress(ReplyError):
            score = asked.form.read(text, asked.scale)[0]
            assert asked.scale.low <= score <= asked.scale.high
            assert math.isfinite(score)


@pytest.mark.parametrize("text", ["\n" * 200_000, "1" * 200_000, "1: " * 100_000, "- " * 100_000, "(" * 200_000])
@every_rubric
def test_a_text_made_to_take_long_takes_no_time(rubric, text):
    assert read(rubric, text) is None
