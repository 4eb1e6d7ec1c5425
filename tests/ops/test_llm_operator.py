"""What operators that ask an LLM share: its parameters, and the engine they describe."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS


class Asking(LLMOperator, Mapper):
    _name = "asking_mapper"
    _constraints = {**SAMPLE_CONSTRAINTS, **LLM_CONSTRAINTS}


def test_an_engine_is_what_the_recipe_says():
    engine = Asking(api_or_hf_model="m", max_concurrency=3, sampling_params={"top_p": 0.5}).new_engine(check=False)
    assert (engine.model, engine.settings.max_concurrency, engine.settings.try_num) == ("m", 3, 3)
    assert engine.backend_factory.sampling_params == {"top_p": 0.5}
    assert Asking().new_engine(check=False).backend_factory.sampling_params == {"temperature": 0.25}


def test_a_local_model_runs_where_the_recipe_says_and_not_where_data_juicer_would():
    local = {"is_hf_model": True}
    assert Asking(**local).new_engine(check=False).backend_factory.device is None
    assert Asking(**local, accelerator="cpu").new_engine(check=False).backend_factory.device == "cpu"


def test_what_cannot_work_is_refused_in_the_operators_name(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RecipeError, match="asking_mapper: try_num must be a whole number of at least 1, got 0"):
        Asking(try_num=0)
    with pytest.raises(RecipeError, match="asking_mapper: sampling_params must not contain 'n'"):
        Asking(sampling_params={"n": 2}).new_engine(check=False)
    with pytest.raises(LLMUnavailableError, match="asking_mapper: There is no LLM to ask"):
        Asking().new_engine(check=True)
