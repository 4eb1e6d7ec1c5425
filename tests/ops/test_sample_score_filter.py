"""Scores in the stats by measure, bounds, rows without a score, scores that rows bring, and what costs money."""

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows import sources
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import SampleScoreFilter
from tests import tiny_models
from tests.llm_server import FakeLLMServer, judged, parents_of
from tests.ops.scored import LENGTH, by_length, outputs, rows
from tests.recipe_runs import make_dataset, read_jsonl, run_recipe, write_jsonl, write_recipe


def losses(measures=("ifd", "perplexity"), **parameters) -> SampleScoreFilter:
    params = {"hf_model": tiny_models.gpt2_folder(), "measures": list(measures)}
    return SampleScoreFilter(scorer="response_loss", scorer_params=params, **parameters)


def test_a_score_goes_to_the_stats_under_its_own_name_and_rows_stay_as_they_were():
    given = rows("one", "three")
    for row, result, length in zip(given, by_length().run(make_dataset(given)), (3.0, 5.0), strict=True):
        stats = result.pop(STATS)
        assert result == row
        assert set(stats) == {LENGTH, LENGTH + "_status", LENGTH + "_made_by"}
        assert (stats[LENGTH], stats[LENGTH + "_status"]) == (length, "ok")


def test_every_measure_of_a_scorer_has_its_stats():
    (row,) = losses().run(make_dataset(rows("one and two")))
    for name in ("ifd", "response_perplexity"):
        assert row[STATS][name] > 0
        assert row[STATS][name + "_status"] == "ok"


def test_a_score_goes_under_the_name_that_is_asked_for_and_is_known_again_there():
    given = make_dataset(rows("one", "three"))
    named = by_length(stat="quality", min_score=4.0)
    (row,) = named.run(given)
    assert set(row[STATS]) == {"quality", "quality_status", "quality_made_by"}
    assert row[STATS]["quality"] == 5.0
    (scored,) = losses(measure="perplexity", stat="ppl_of_tiny").run(make_dataset(rows("one and two")))
    assert {"ifd", "ppl_of_tiny"} < set(scored[STATS])
    assert "response_perplexity" not in scored[STATS]


def test_two_scorers_with_other_parameters_stand_in_one_recipe_where_null_takes_the_first_ones_back(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", rows("one", "three"))
    constant = {"scorer": "tests.user_scorers:Constant", "scorer_params": {"value": 2.0}}
    length = {"scorer": "tests.user_scorers:ByLength", "scorer_params": {"value": None}}
    process = [{"sample_score_filter": constant}, {"sample_score_filter": length}]
    stats = [row[STATS] for row in read_jsonl(run_recipe(write_recipe(tmp_path, process, data)))]
    assert [(row["constant_score"], row[LENGTH]) for row in stats] == [(2.0, 3.0), (2.0, 5.0)]
    length["scorer_params"] = {}
    with pytest.raises(RecipeError, match="set one of them to null to cancel it"):
        run_recipe(write_recipe(tmp_path, process, data))


def test_bounds_apply_to_the_first_measure_or_to_the_one_that_is_named():
    given = make_dataset(rows("one and two", "three"))
    scored = losses().run(given)
    for measure, stat in (("ifd", "ifd"), ("perplexity", "response_perplexity")):
        low, high = sorted(row[STATS][stat] for row in scored)
        (kept,) = losses(measure=measure, min_score=(low + high) / 2).run(given)
        assert kept[STATS][stat] == pytest.approx(high)
    assert losses(min_score=0.0).stat == "ifd"


def test_a_score_that_rows_bring_counts_where_the_same_made_it():
    first = by_length().run(make_dataset(rows("one", "three")))
    brought = [row | {STATS: row[STATS] | {LENGTH: 100.0}} for row in first]
    assert [row[STATS][LENGTH] for row in by_length().run(make_dataset(brought))] == [100, 100]


@pytest.mark.parametrize("change", ["parameters", "text"])
def test_a_score_of_other_parameters_or_another_text_is_made_anew(change):
    constant = {"scorer": "tests.user_scorers:Constant"}
    first = list(SampleScoreFilter(**constant, scorer_params={"value": 1.0}).run(make_dataset(rows("one", "three"))))
    brought = [row | {STATS: row[STATS] | {"constant_score": 100.0}} for row in first]
    if change == "text":
        brought = [row | {"output": "another"} for row in brought]
    value = 2.0 if change == "parameters" else 1.0
    scored = SampleScoreFilter(**constant, scorer_params={"value": value}).run(make_dataset(brought))
    assert [row[STATS]["constant_score"] for row in scored] == [value, value]


def test_a_cascade_scores_anew_under_other_bounds():
    """Whether its judge is asked depends on how near a score is to a bound."""
    cascade = {"cheap": "tests.user_scorers:ByLength", "judge": "tests.user_scorers:Constant", "margin": 0.5}
    filtered = {"scorer": "cascade", "scorer_params": cascade}
    first = list(SampleScoreFilter(**filtered, max_score=9).run(make_dataset(rows("four"))))
    assert first[0][STATS]["cascade_score"] == 4
    again = SampleScoreFilter(**filtered, max_score=4).run(make_dataset(first))
    assert again[0][STATS]["cascade_score"] == 1


def test_a_score_that_failed_is_tried_again():
    failed = list(by_length().run(make_dataset(rows(" "))))
    assert failed[0][STATS][LENGTH] is None
    (row,) = by_length().run(make_dataset(failed))
    assert row[STATS][LENGTH + "_status"] == "empty_response"


def test_parameters_that_cannot_work_are_refused():
    with pytest.raises(RecipeError, match="min_score 2 is above max_score 1"):
        by_length(min_score=2, max_score=1)
    with pytest.raises(RecipeError, match="one of 'ifd', 'perplexity', got 'ppl'"):
        losses(measure="ppl")
    with pytest.raises(RecipeError, match="stat is 'ifd', which the scorer uses for another measure"):
        losses(measure="perplexity", stat="ifd")
    with pytest.raises(RecipeError, match=r"sample_score_filter: response_loss: dtype must be"):
        SampleScoreFilter(scorer="response_loss", scorer_params={"dtype": "int8"})


@pytest.mark.parametrize("scorer", ["llm_judge", "deita_api", "cascade"])
def test_a_server_is_asked_about_every_row_only_where_that_is_asked_for(monkeypatch, scorer):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(RecipeError, match="costs money: set min_score or max_score"):
        SampleScoreFilter(scorer=scorer)
    for consent in ({"min_score": 1}, {"max_score": 5}, {"score_all": True}):
        assert SampleScoreFilter(scorer=scorer, **consent).asks_a_server


def judging(server: FakeLLMServer, **parameters) -> dict:
    return {"scorer": "llm_judge", "scorer_params": {"model_params": {"base_url": server.base_url}, **parameters}}


def by_row(body) -> str:
    (record,) = parents_of(body)
    is_good = record.get("output") == "three"
    return judged(body, 5 if is_good else 2, answers=[is_good])


def test_each_rubric_of_a_judge_has_its_stats_and_bounds_apply_to_the_one_that_is_named():
    names = ["humpback", "lift", "wavecoder"]
    with FakeLLMServer(by_row) as server:
        asking = judging(server, rubrics=names, one_call=True)
        scored = SampleScoreFilter(**asking, score_all=True).run(make_dataset(rows("one", "three")))
        asked = len(server.requests)
        for measure, low in (("humpback", 5), ("lift", 4), ("wavecoder_pass", 1)):
            (kept,) = SampleScoreFilter(**asking, measure=measure, min_score=low).run(scored)
            assert kept["output"] == "three"
        assert len(server.requests) == asked == 4
    for row, number, share, passed in zip(scored, (2, 5), (0.8, 1), (0, 1), strict=True):
        stats = row[STATS]
        keys = [*(f"{name}_score" for name in names), "wavecoder_pass"]
        assert set(stats) == {key + end for key in keys for end in ("", "_status", "_made_by")}
        assert [stats[key] for key in keys] == [number, number, share, passed]
        assert {stats[key + "_status"] for key in keys} == {"ok"}


def test_a_row_without_an_instruction_or_with_an_answer_of_another_type_is_not_asked_about():
    # The rows of a dataset have one type for each column; what is no text comes as a list or a null.
    given = [{"instruction": "ask", "output": ["three"]}, {"instruction": "", "output": ["three"]}]
    given += [{"instruction": "ask", "output": None}]
    with FakeLLMServer(by_row) as server:
        asking = judging(server, rubrics=["lift", "tree_nodes"])
        scored = SampleScoreFilter(**asking, score_all=True).run(make_dataset(given))
        found = [(row[STATS]["lift_score_status"], row[STATS]["tree_nodes_score_status"]) for row in scored]
    asked = [parents_of(body) for body in server.requests]
    assert all(row[STATS]["lift_score"] is None for row in scored)
    assert [lift for lift, _ in found] == ["empty_response"] * 3
    assert found[1][1] == "empty_instruction"
    assert asked == [[{"instruction": "ask"}]]


def test_a_judge_that_is_right_about_few_rows_leaves_the_others_without_a_score_and_all_rows_in_place(lines):
    def answer(body) -> str:
        (record,) = parents_of(body)
        return judged(body, int(record["output"][-1:])) if record["output"][-1:] in "12345" else "Hard to say."

    given = rows(*(f"answer {number}" for number in range(9)))
    with FakeLLMServer(answer) as server:
        asking = judging(server, rubric="alpagasus_accuracy", reasons=False, try_num=2)
        kept = SampleScoreFilter(**asking, min_score=4.5).run(make_dataset(given))
        dropped = SampleScoreFilter(**asking, min_score=4.5, on_missing_score="drop").run(make_dataset(given))
    assert outputs(kept) == [f"answer {number}" for number in (0, 5, 6, 7, 8)]
    assert outputs(dropped) == ["answer 5"]
    assert [row[STATS]["alpagasus_accuracy_score_status"] for row in kept] == ["unparsable", "ok", *["unparsable"] * 3]
    assert any("4 samples have no score and are dropped: unparsable 4" in line for line in lines)


def test_a_task_is_grounded_in_the_text_of_the_column_that_query_key_names():
    given = [{"instruction": "ask", "output": "three", "source": "a text"}]
    given += [{"instruction": "ask", "output": "three", "source": ""}]
    with FakeLLMServer(by_row) as server:
        asking = judging(server, rubric="grounded_task")
        scored = SampleScoreFilter(**asking, score_all=True, query_key="source").run(make_dataset(given))
        assert [parents_of(body)[0]["source"] for body in server.requests] == ["a text"]
    assert [row[STATS]["grounded_task_score_status"] for row in scored] == ["ok", "empty_source"]


def test_a_task_is_grounded_in_the_text_that_its_metadata_keep():
    """Its own input is shown beside it; a row without such metadata has its text as input."""
    given = [{"instruction": "ask", "input": "data", "output": "three", META: {sources.SOURCE: "a text"}}]
    given += [{"instruction": "ask", "input": "data", "output": "three", META: {sources.SOURCE: "another text"}}]
    given += [{"instruction": "ask", "input": "a third", "output": "three", META: {sources.SOURCE: None}}]
    with FakeLLMServer(by_row) as server:
        asking = judging(server, rubric="grounded_task")
        scored = SampleScoreFilter(**asking, score_all=True).run(make_dataset(given))
        shown = [(record["input"], record["source"]) for body in server.requests for record in parents_of(body)]
        SampleScoreFilter(**judging(server, rubric="lift"), score_all=True).run(make_dataset(given))
        assert all("source" not in record for body in server.requests[3:] for record in parents_of(body))
    assert sorted(shown) == [("", "a third"), ("data", "a text"), ("data", "another text")]
    made_by = [row[STATS]["grounded_task_score_made_by"] for row in scored]
    assert len(set(made_by)) == 3
