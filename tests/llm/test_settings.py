"""The parameters of an LLM: one declaration, which operators and scorers take over."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.settings import LLM_CONSTRAINTS, LLMSettings, takes_settings
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.deita_api import DeitaApiScorer
from mergeit_ops.scorers.llm_judge import LLMJudgeScorer

NAMES = [field.name for field in fields(LLMSettings)]


class Asker:
    @takes_settings("is_hf_model", "warm_up")
    def __init__(self, first: int, *, try_num: int = 7, llm: dict) -> None:
        """Make one.

        :param first: of its own.
        :param try_num: of its own too.
        """
        self.llm = llm


def test_every_field_is_constrained_and_documented():
    assert list(LLM_CONSTRAINTS) == NAMES
    for name, field in inspect.signature(LLMSettings).parameters.items():
        assert f":param {name}: " in LLMSettings.__doc__
        assert LLM_CONSTRAINTS[name].allows(field.default)


def test_what_takes_the_settings_shows_each_with_default_and_docs():
    signature = inspect.signature(Asker)
    assert list(signature.parameters) == [
        "first",
        "try_num",
        *(name for name in NAMES if name not in ("is_hf_model", "warm_up", "try_num")),
    ]
    assert signature.parameters["try_num"].default == 7
    assert signature.parameters["timeout_s"].default == 120.0
    documented = inspect.getdoc(Asker.__init__)
    assert documented.startswith("Make one.")
    assert documented.count(":param try_num: of its own too.") == documented.count(":param try_num:") == 1
    assert ":param timeout_s: seconds until a request to a server counts as lost." in documented
    assert ":param warm_up:" not in documented


def test_the_settings_arrive_together_and_other_names_are_refused():
    asked = Asker(1, timeout_s=5.0).llm
    expected = vars(LLMSettings(timeout_s=5.0))
    assert asked == {name: expected[name] for name in NAMES if name not in ("is_hf_model", "warm_up", "try_num")}
    for name in ("warm_up", "api_key"):
        with pytest.raises(TypeError, match=name):
            Asker(1, **{name: True})


def test_operators_and_scorers_take_the_same_settings():
    of_run = set(NAMES) - {"is_hf_model", "backend", "response_path", "sampling_params", "warm_up", "try_num"}
    assert set(NAMES) <= set(inspect.signature(LLMOperator).parameters)
    assert set(NAMES) <= set(inspect.signature(LLMJudgeScorer).parameters)
    assert set(NAMES) & set(inspect.signature(DeitaApiScorer).parameters) == of_run


@pytest.mark.parametrize(
    ("scorer", "name"), [("llm_judge", "top_logprobs"), ("deita_api", "try_num"), ("deita_api", "is_hf_model")]
)
def test_a_name_that_a_scorer_does_not_take_is_refused_and_named(scorer, name):
    with pytest.raises(RecipeError, match=f"scorer_params do not fit the scorer '{scorer}': .*'{name}'"):
        build_scorer(scorer, {name: 1})
