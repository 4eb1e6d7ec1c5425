"""What names an experiment."""

from __future__ import annotations

from dataclasses import replace

from mergeit_ops.training.settings import FineTuningSettings, experiment_id


def test_every_setting_makes_another_experiment():
    base = FineTuningSettings()
    others = {
        "trained": "full",
        "layers": 3,
        "lora_rank": 4,
        "learning_rate": 1e-4,
        "epochs": 2,
        "step_tokens": 64,
        "max_length": 100,
    }
    assert set(base.as_dict()) == set(others)
    ids = {experiment_id(replace(base, **{name: value}).as_dict()) for name, value in others.items()}
    assert len(ids | {experiment_id(base.as_dict())}) == len(others) + 1


def test_the_order_of_a_description_does_not_count():
    assert experiment_id({"a": 1, "b": 2}) == experiment_id({"b": 2, "a": 1})
