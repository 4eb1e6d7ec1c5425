"""The script that compares the methods: the recipes that it runs, and their number of rows."""

import pytest

from scripts.compare_methods import METHODS_WITHOUT_A_NUMBER, baselines, front, methods, with_budget


def test_every_recipe_that_selects_without_a_language_model_is_compared_at_the_same_number_of_rows():
    everything = {**baselines(), **methods(), **front()}
    assert {"random", "coreset", "deita", "car", "mig", "lcg", "qdit"} <= set(everything)
    assert METHODS_WITHOUT_A_NUMBER.isdisjoint(everything)
    assert {"deita_evol", "mods", "ifd"}.isdisjoint(everything)
    for process in everything.values():
        given = [p for entry in with_budget(process, 1_500) for p in entry.values()]
        assert sum(parameters.get("select_num") == 1_500 for parameters in given) == 1
        assert not any("select_ratio" in parameters and "select_num" in parameters for parameters in given)


def test_a_recipe_without_a_selector_cannot_be_compared():
    with pytest.raises(ValueError, match="selects"):
        with_budget([{"sample_score_filter": {}}], 10)
