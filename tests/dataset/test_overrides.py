"""Settings that Data-Juicer loses to options of the command line are named before the run."""

from __future__ import annotations

import pytest

from mergeit_ops.dataset.overrides import inherited_settings, lost_settings
from mergeit_ops.dataset.recipe import Step
from mergeit_ops.errors import RecipeError
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe

GROUPER = Step("grouper", {"seed": 11, "num_clusters": 7})
MERGER = Step("merger", {"seed": 5, "sampling_params": {"temperature": 0.3, "top_p": 0.9}, "dry_run": True})


def lost(*arguments, **read):
    return list(lost_settings([GROUPER, MERGER], [GROUPER, Step("merger", {**MERGER.parameters, **read})], arguments))


def test_a_key_that_another_operator_is_given_is_lost():
    assert lost("--grouper.seed", "3", "--merger.similarity_threshold=0.5", seed=42) == ["--merger.seed 5"]
    assert lost("--grouper.dry_run", "x", "--merger.seed=9", dry_run=False, seed=9) == ["--merger.dry_run True"]


def test_what_the_command_line_says_is_not_lost():
    assert lost("--grouper.seed", "3", "--merger.seed=9", seed=9) == []
    assert lost("--merger.sampling_params", "{}", sampling_params={}) == []


def test_what_data_juicer_keeps_is_not_lost():
    """A later version may keep it, and an operator without options of its own is left alone."""
    assert lost("--grouper.seed", "3", "--merger.similarity_threshold=0.5") == []
    assert lost("--grouper.seed", "3", seed=42) == []
    assert lost("--export_path", "a.b", "--config=x.yaml", seed=42) == []


def test_a_mapping_is_written_as_the_command_line_takes_it():
    kept = '--merger.sampling_params \'{"temperature": 0.3, "top_p": 0.9}\''
    assert lost("--grouper.sampling_params.x", "1", "--merger.seed=5", sampling_params=None) == [kept]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), ("it's mine", "'it'\"'\"'s mine'"), ({"a": "it's"}, '\'{"a": "it\'"\'"\'s"}\''), (0.5, "0.5")],
)
def test_values_are_written_for_the_shell(value, shown):
    written = [GROUPER, Step("merger", {"seed": value})]
    found = lost_settings(
        written, [GROUPER, Step("merger", {"seed": 42})], ["--grouper.seed=3", "--merger.dry_run=true"]
    )
    assert list(found) == [f"--merger.seed {shown}"]


def inherited(*written, **read):
    """Read steps as Data-Juicer does: what a later one does not set, it gets from those before it."""
    steps, known = [], {}
    for parameters in written:
        known = known | parameters
        steps.append(Step("sample_score_filter", known | read))
    return list(inherited_settings([Step("sample_score_filter", each) for each in written], steps))


def test_what_a_step_gets_from_an_earlier_one_is_named():
    first, second = {"scorer": "tool_call_check", "min_score": 0.5}, {"scorer": "reasoning_trace"}
    assert inherited(first, second) == [{}, {"min_score": 0.5}]
    assert inherited(first, {"scorer": "distilled", "min_score": 3}, second) == [{}, {}, {"min_score": 3}]
    assert inherited({"scorer": "a", "scorer_params": {"x": 1}}, {"scorer": "b"})[1] == {"scorer_params.x": 1}


def test_what_a_step_sets_itself_is_not_inherited():
    first = {"scorer": "tool_call_check", "min_score": 0.5}
    assert inherited(first, {"scorer": "x", "min_score": None}) == [{}, {}]
    assert inherited(first, {"scorer": "x"}, min_score=0.9) == [{}, {}]  # from the command line
    assert inherited({"scorer": "a", "min_score": None}, {"scorer": "b"}) == [{}, {}]  # the default
    assert inherited({"scorer": "a", "scorer_params": {"x": 1}}, {"scorer": "b", "scorer_params": None}) == [{}, {}]


def test_keys_that_a_mapping_gets_are_named():
    written = [Step("op", {"scorer_params": {"a": 1, "b": 2}}), Step("op", {"scorer_params": {"a": 3}})]
    read = [written[0], Step("op", {"scorer_params": {"a": 3, "b": 2}})]
    assert list(inherited_settings(written, read)) == [{}, {"scorer_params.b": 2}]
    assert list(inherited_settings(written, written)) == [{}, {}]


def test_a_run_says_which_bound_a_step_inherits(tmp_path, embedded_rows, lines):
    def run(name, **second):
        process = [
            {"sample_score_filter": {"scorer": "tests.user_scorers:ByFirstDigit", "min_score": -1.0}},
            {"sample_score_filter": {"scorer": "tests.user_scorers:ByFirstDigit", "stat": "again", **second}},
        ]
        (tmp_path / name).mkdir()
        run_recipe(write_recipe(tmp_path / name, process, write_jsonl(tmp_path / f"{name}.jsonl", embedded_rows)))
        return [line for line in lines if "from an earlier sample_score_filter" in line]

    assert run("explicit", min_score=None) == []
    (line,) = run("inherited")
    assert "step 2 of the recipe does not set min_score, so Data-Juicer gives it min_score: -1.0 from" in line
    assert "Set min_score in the step: to null for none" in line


@pytest.fixture
def recipe(tmp_path, embedded_rows):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3, "sample_format": "alpaca"}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "sample_format": "alpaca", "pairing_seed": 7}},
    ]
    return write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows))


def test_a_run_that_loses_a_setting_is_stopped_and_the_advice_works(recipe, tmp_path):
    options = ("--topic_cluster_grouper.sample_format", "auto", "--llm_pair_merger_mapper.similarity_threshold", "0.4")
    export = ("--export_path", str(tmp_path / "out" / "export.jsonl"))
    with pytest.raises(RecipeError, match=r"--llm_pair_merger_mapper\.sample_format alpaca\. Add"):
        run_recipe(recipe, *export, *options)
    run_recipe(recipe, *export, *options, "--llm_pair_merger_mapper.sample_format", "alpaca")
