"""Filters that ask a scorer: which one the recipe names, and what is said of one that cannot work."""

import importlib
import sys

import pytest

from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.ops import QualityGateFilter
from tests.ops.gated import A, gate
from tests.recipe_runs import make_dataset


def test_a_scorer_that_breaks_its_contract_stops_the_run():
    with pytest.raises(ScorerError, match="OneShort gave 0 scores for 1 row"):
        gate(scorer="tests.user_scorers:OneShort", score_all=True).run(make_dataset([A]))


@pytest.mark.parametrize(("scorer", "got"), [("PlainNumbers", r"float 1\.0"), ("Nothing", "NoneType")])
def test_a_scorer_that_gives_no_scores_is_told_what_to_give(scorer, got):
    with pytest.raises(ScorerError, match=rf"quality_gate_filter: .*{scorer} must return a list of Score.*{got}"):
        gate(scorer=f"tests.user_scorers:{scorer}", score_all=True).run(make_dataset([A]))


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"scorer": "distiled"}, "scorer must be one of 'distilled', .* or an import path .* got 'distiled'"),
        ({"scorer": "tests.user_scorers:Nope"}, "could not be imported"),
        ({"scorer": "tests.user_scorers:Constant", "scorer_params": {"x": 1}}, "scorer_params do not fit"),
        ({"min_score": 3, "max_score": 2}, "min_score 3 is above max_score 2"),
    ],
)
def test_a_scorer_that_cannot_work_is_refused_before_the_run(parameters, complaint):
    with pytest.raises(RecipeError, match=f"quality_gate_filter: .*{complaint}"):
        gate(**parameters)


def test_a_scorer_that_raises_is_named():
    with pytest.raises(ScorerError, match=r"quality_gate_filter: the scorer Raising failed \(KeyError: 'boom'\)"):
        gate(scorer="tests.user_scorers:Raising", score_all=True).run(make_dataset([A]))


def test_a_secret_among_the_scorers_parameters_is_refused_without_repeating_it():
    with pytest.raises(
        RecipeError, match=r"quality_gate_filter: scorer_params\.api_key looks like a secret"
    ) as refusal:
        gate(scorer_params={"api_key": "sk-0123456789abcdef"})
    assert "sk-0123456789abcdef" not in str(refusal.value)


def test_a_scorer_in_the_current_folder_is_found_whoever_started_the_process(tmp_path, monkeypatch):
    (tmp_path / "scorer_right_here.py").write_text(
        "from tests.user_scorers import ByLength\n\n\nclass Mine(ByLength):\n    pass\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    # As a console script leaves it: without the current folder.
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    assert type(QualityGateFilter(scorer="scorer_right_here:Mine")._scorer).__name__ == "Mine"
    with pytest.raises(RecipeError, match="current folder, on PYTHONPATH, or installed"):
        QualityGateFilter(scorer="scorer_nowhere:Mine")


def test_the_current_folder_is_looked_into_for_a_scorer_of_ones_own_only(tmp_path, monkeypatch):
    (tmp_path / "scorer_with_help.py").write_text(
        "import helper_of_scorer\nfrom tests.user_scorers import ByLength as Mine\n", encoding="utf-8"
    )
    (tmp_path / "helper_of_scorer.py").write_text("", encoding="utf-8")
    (tmp_path / "scorer_that_fails.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "lies_around.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    before = list(sys.path)
    mine = {"scorer": "scorer_with_help:Mine"}
    for parameters in (mine, {"scorer": "cascade", "scorer_params": {"cheap": mine, "judge": mine}}):
        QualityGateFilter(**parameters)
        assert sys.path == before
    for name in ("scorer_that_fails:Mine", "scorer_with_help:None", "scorer_nowhere:Mine"):
        with pytest.raises(RecipeError, match="could not be imported"):
            QualityGateFilter(scorer=name)
        assert sys.path == before
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("lies_around")
    # Who has the folder on the path already keeps it.
    sys.path.insert(0, str(tmp_path))
    QualityGateFilter(**mine)
    assert sys.path == [str(tmp_path), *before]
