"""The gate: restore, accept, filter; figures and reasons in the lineage."""

import json

import numpy as np
import pytest
from loguru import logger

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.rows.lossless import decode_row, encode_row
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper
from tests import tiny_models
from tests.llm_server import FakeLLMServer, judged, parents_of
from tests.ops.gated import LINEAGE, A, B, gate, merged, original, sample
from tests.recipe_runs import make_dataset


def outputs(dataset) -> list[str]:
    return [row["output"] for row in dataset]


def test_a_merge_that_passes_stays_and_carries_the_figures():
    (row,) = gate().run(make_dataset([merged("3 ab", [A, B])]))
    assert row["output"] == "3 ab"
    assert row[META]["merge_status"] == "merged"
    assert row[META]["merge_parent_ids"] == ["a", "b"]
    assert row[STATS] == {
        "quality_score": 3.0,
        "merge_quality_before": 3.0,
        "merge_quality_after": 3.0,
        "merge_quality_ratio": 1.0,
        # The merge has the "ab" of neither parent: each answer is short, and must be there word for word.
        "merge_parent_coverage": 0.0,
        "quality_status": "ok",
    }
    assert row[META]["merge_parent_kept"] == [0.0, 0.0]
    assert row[META]["merge_parent_weakest"] == ["answer", "answer"]


def test_a_merge_that_fails_gives_its_parents_back_where_they_stood():
    rows = [original("first", "x", 0), merged("1 ab", [A, B]), original("middle", "x", 2), original("last", "x", 4)]
    rows.append(original("other topic", "x", 0, topic=1))
    restored = list(gate().run(make_dataset(rows)))
    assert [row["instruction"] for row in restored] == ["first", "a", "middle", "b", "last", "other topic"]
    first, second = restored[1], restored[3]
    assert {name: first[name] for name in ("instruction", "input", "output")} == sample("a", "2 a")
    assert first[META]["merge_parent_kept"] == second[META]["merge_parent_kept"] == [0.0, 0.0]
    for row, score in ((first, 2.0), (second, 4.0)):
        assert row[META]["merge_status"] == "restored"
        assert row[META]["merge_rejected"] == "score"
        assert row[META]["merge_group_id"] == "g"
        assert (row[STATS]["quality_score"], row[STATS]["merge_quality_before"]) == (score, 3.0)
        assert row[STATS]["merge_quality_after"] == 1.0
    assert decode_row(first[META]["merge_rejected_text"])["output"] == "1 ab"
    assert second[META]["merge_rejected_text"] is None


def test_the_best_of_several_answers_wins():
    (row,) = gate().run(make_dataset([merged("3 ab", [A, B], candidates=["5 best", "no score"])]))
    assert row["output"] == "5 best"
    assert row["instruction"] == "c"
    assert row[META]["merge_candidates"] == []
    assert row[STATS]["quality_score"] == 5.0


STUDENT = {"scorer": "tests.user_scorers:WithReverseIfd", "max_reverse_ifd": 1}


def test_an_answer_must_determine_its_question_where_the_recipe_asks_for_it():
    (accepted,) = gate(**STUDENT).run(make_dataset([merged("3 ab", [A, B])]))
    assert accepted[STATS]["merge_reverse_ifd"] == 0.5
    restored = list(gate(**STUDENT).run(make_dataset([merged("5 ab!", [A, B])])))
    assert [row[META]["merge_rejected"] for row in restored] == ["reverse_ifd"] * 2
    assert [row[STATS]["merge_reverse_ifd"] for row in restored] == [1.5, 1.5]


def test_of_several_answers_the_best_that_determines_its_question_wins():
    (row,) = gate(**STUDENT).run(make_dataset([merged("6 best!", [A, B], candidates=["3 ab", "4 ab", "5 ab!"])]))
    assert (row["output"], row[STATS]["merge_reverse_ifd"]) == ("4 ab", 0.5)


def test_the_losses_of_a_student_decide_about_a_merge():
    params = {"hf_model": tiny_models.gpt2_folder(), "measures": ["ifd", "reverse_ifd"], "max_length": 64}
    rows = make_dataset([merged("3 ab", [A, B])])
    (accepted,) = gate(scorer="response_loss", scorer_params=params, gamma=0.1, max_reverse_ifd=100).run(rows)
    assert accepted[META]["merge_status"] == "merged"
    reverse = accepted[STATS]["merge_reverse_ifd"]
    restored = gate(scorer="response_loss", scorer_params=params, gamma=0.1, max_reverse_ifd=0.99 * reverse).run(rows)
    assert [row[META]["merge_rejected"] for row in restored] == ["reverse_ifd"] * 2


def test_a_scorer_that_does_not_measure_it_is_refused():
    with pytest.raises(RecipeError, match=r"max_reverse_ifd needs `scorer: response_loss` .*measures by_first_digit"):
        gate(max_reverse_ifd=1)


@pytest.mark.parametrize("rows", [[merged("no score", [A, B])], [merged("6 ab", [A, original("b", "none", 3)])]])
def test_a_missing_score_on_either_side_is_no_acceptance(rows):
    restored = list(gate().run(make_dataset(rows)))
    assert [row[META]["merge_rejected"] for row in restored] == ["no_score", "no_score"]


def test_scores_of_failed_rows_are_never_invented():
    restored = list(gate().run(make_dataset([merged("6 ab", [A, original("b", "none", 3)])])))
    assert [row[STATS]["quality_score"] for row in restored] == [2.0, None]
    assert [row[STATS]["quality_status"] for row in restored] == ["ok", "no_digit"]


def test_originals_are_not_scored_unless_asked():
    (row,) = gate().run(make_dataset([A]))
    assert (row[STATS]["quality_score"], row[STATS]["quality_status"]) == (None, "not_scored")
    (row,) = gate(score_all=True).run(make_dataset([A]))
    assert row[STATS]["quality_score"] == 2.0


def test_as_a_plain_filter_it_keeps_the_interval_and_rows_without_a_score():
    rows = [sample("a", "1"), sample("b", "2"), sample("c", "3"), sample("d", "4"), sample("e", "x")]
    assert outputs(gate(min_score=2, max_score=3).run(make_dataset(rows))) == ["2", "3", "x"]


def test_stats_of_other_filters_stay():
    rows = [sample("a", "1") | {STATS: {"text_len": 7}}]
    (row,) = gate(score_all=True).run(make_dataset(rows))
    assert (row[STATS]["text_len"], row[STATS]["quality_score"]) == (7, 1.0)


def test_a_merge_that_drops_a_parent_fails_on_coverage():
    a = original("a", "Cats sleep most of the day.", 0)
    b = original("b", "The train to Lyon leaves at noon.", 1)
    constant = {"scorer": "tests.user_scorers:Constant", "gamma": 0.5, "min_parent_coverage": 0.8}
    both = "Cats sleep most of the day. The train to Lyon leaves at noon."
    (kept,) = gate(**constant).run(make_dataset([merged(both, [a, b])]))
    assert kept[STATS]["merge_parent_coverage"] == pytest.approx(1, abs=1e-3)
    restored = list(gate(**constant).run(make_dataset([merged("Cats sleep most of the day.", [a, b])])))
    assert [row[META]["merge_rejected"] for row in restored] == ["coverage"] * 2
    assert restored[0][STATS]["merge_parent_coverage"] < 0.5


@pytest.mark.parametrize("rows_read", [1, 7])
def test_the_decision_does_not_depend_on_where_batches_are_cut(embedded_rows, monkeypatch, rows_read):
    topics = TopicClusterGrouper(num_clusters=4).run(make_dataset(embedded_rows))
    rows = LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)
    by_length = {"scorer": "tests.user_scorers:ByLength", "gamma": 1.5, "reference": "max"}
    by_length["min_parent_coverage"] = 0.5
    whole = list(gate(**by_length).run(rows))
    assert {"merged", "restored"} <= {row[META]["merge_status"] for row in whole}
    monkeypatch.setattr("mergeit_ops.dataset.tables.READ_ROWS", rows_read)
    monkeypatch.setattr("mergeit_ops.dataset.tables.iter_tables.__defaults__", (None, rows_read))
    cut = list(gate(**by_length).run(rows))
    assert [row[META] for row in cut] == [row[META] for row in whole]
    for ours, theirs in zip(cut, whole, strict=True):
        # Embeddings differ by float noise with the texts beside them.
        figures = (ours[STATS].pop("merge_parent_coverage"), theirs[STATS]["merge_parent_coverage"])
        assert figures == (None, None) or figures[0] == pytest.approx(figures[1], abs=1e-4)
        assert ours[STATS] == {name: value for name, value in theirs[STATS].items() if name != "merge_parent_coverage"}


def test_the_log_says_how_many_merges_failed_and_on_what():
    cats, trains = "2 cats sleep most of the day.", "4 trains leave for Lyon at noon."
    c, d = original("c", cats, 5), original("d", trains, 7)
    rows = [
        merged("1 ab", [A, B]),
        merged("no number", [A, B], topic=1),
        merged("none here either", [A, B], topic=2),
        merged("5 cats sleep most of the day.", [c, d], topic=3, instruction="c d"),
        merged(f"5 {cats} {trains}", [c, d], topic=4, instruction="c d"),
    ]
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}")
    try:
        gate(min_parent_coverage=0.6).run(make_dataset(rows))
    finally:
        logger.remove(sink)
    (line,) = [line for line in lines if "rejected" in line]
    assert "accepted 1" in line
    for count in ("score 1", "no_score 2", "coverage 1"):
        assert count in line


def test_topics_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match="rows are topics"):
        gate().run(TopicClusterGrouper().run(make_dataset(embedded_rows)))


def test_what_leaves_the_gate_is_json(embedded_rows):
    (row,) = gate().run(make_dataset([merged("3 ab", [A, B])]))
    json.dumps({META: row[META], STATS: row[STATS]}, allow_nan=False)


def test_a_column_renamed_after_the_merger_is_named_instead_of_lost():
    rows = make_dataset([merged("1 ab", [A | {"source": "x"}, B | {"source": "x"}]) | {"source": "x"}])
    with pytest.raises(DatasetError, match=r"quality_gate_filter: the columns 'source'.* are gone; .*after the gate"):
        gate().run(rows.rename_column("source", "origin"))


def test_a_column_whose_type_changed_after_the_merger_is_named():
    rows = make_dataset([merged("1 ab", [A | {"n": "x"}, B | {"n": "y"}]) | {"n": 1}])
    with pytest.raises(DatasetError, match=r"quality_gate_filter: the values of column 'n'.*int64"):
        gate().run(rows)


@pytest.mark.parametrize("scorer", ["NotANumber", "Infinite"])
def test_a_score_that_is_no_number_is_no_score(scorer):
    (row,) = gate(scorer=f"tests.user_scorers:{scorer}", score_all=True).run(make_dataset([A]))
    assert (row[STATS]["quality_score"], row[STATS]["quality_status"]) == (None, "not_finite")


def test_numpy_scores_are_as_good_as_floats():
    (row,) = gate(scorer="tests.user_scorers:NumpyScalar", score_all=True).run(make_dataset([A]))
    assert row[STATS]["quality_score"] == 2.0


def test_candidates_keep_the_system_prompt_of_the_merge():
    def chat(question, answer):
        turns = [("system", "Be kind."), ("user", question), ("assistant", answer)]
        return {"messages": [{"role": role, "content": text} for role, text in turns]}

    def parent(name, answer, order):
        return chat(name, answer) | {META: LINEAGE | {"row_id": name, "row_order": order}}

    parents = [parent("a", "2 a", 0), parent("b", "4 b", 1)]
    row = chat("a and b", "1 ab") | {META: merged("1 ab", [A, B], candidates=["5 best"])[META]}
    row[META]["merge_parents"] = [encode_row(each) for each in parents]
    (kept,) = gate().run(make_dataset([row]))
    assert [turn["content"] for turn in kept["messages"]] == ["Be kind.", "c", "5 best"]


def test_further_candidates_are_scored_as_the_row_they_would_make():
    """A chat has no column for the input: it is part of the question, also while the candidates are compared."""

    def chat(question):
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "Yes."}]}

    parents = [chat(name) | {META: LINEAGE | {"row_id": name, "row_order": 0}} for name in "ab"]
    row = chat("a and b") | {META: merged("", [A, B])[META]}
    row[META]["merge_parents"] = [encode_row(each) for each in parents]
    row[META]["merge_candidates"] = [encode_row(sample("c", "Yes.") | {"input": "long material"})]
    (kept,) = gate(scorer="tests.user_scorers:ByInstruction").run(make_dataset([row]))
    assert kept["messages"][0]["content"] == "c\n\nlong material"
    assert kept[STATS]["merge_quality_after"] == len("c\n\nlong material")


def test_null_stats_of_struct_columns_do_not_reach_later_filters():
    rows = [sample("a", "1") | {STATS: {"text_len": None, "other": 1}}]
    (row,) = gate(score_all=True).run(make_dataset(rows))
    assert "text_len" not in row[STATS]
    assert row[STATS]["other"] == 1


def test_insight_mining_may_look_at_topics(embedded_rows):
    topics = TopicClusterGrouper().run(make_dataset(embedded_rows))
    operator = gate()
    operator.process = None  # as Data-Juicer's analyzer does
    assert operator.run(topics) is topics


def test_a_further_answer_does_not_take_over_the_embedding_its_parents_share():
    (shared,) = encode_vectors(np.array([[1.0] + [0.0] * 383], dtype=np.float32))
    row = merged("1 ab", [A | {EMBEDDING: shared}, B | {EMBEDDING: shared}], candidates=["5 best"])
    (kept,) = gate().run(make_dataset([row | {EMBEDDING: shared}]))
    assert kept["output"] == "5 best"
    assert kept[EMBEDDING] != shared


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"rubric": "wavecoder"}, "it counts answers of yes"),
        ({"rubrics": ["grounded_task", "lift"]}, "it counts answers of yes"),
        ({"rubric": "tree_nodes"}, "a merge has the nodes of all its parents"),
        ({"rubric": "Weigh everything.", "scale": [-5, 5]}, "its scores may be negative"),
    ],
)
def test_rubrics_whose_scores_have_no_ratio_are_refused(monkeypatch, parameters, why):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(RecipeError, match=f"the scorer 'llm_judge' does not fit the gate.*{why}"):
        QualityGateFilter(scorer="llm_judge", scorer_params=parameters)
    with pytest.raises(RecipeError, match=f"the scorer 'cascade' does not fit the gate.*{why}"):
        QualityGateFilter(scorer="cascade", scorer_params={"judge": {"scorer": "llm_judge", **parameters}})


def test_the_gate_takes_the_first_rubric_and_asks_about_no_other():
    def answer(body) -> str:
        (record,) = parents_of(body)
        return judged(body, len(record["output"]))

    parents = [original("a", "one", 0), original("b", "four", 1)]
    with FakeLLMServer(answer) as server:
        params = {"rubrics": ["lift", "humpback"], "model_params": {"base_url": server.base_url}}
        judging = QualityGateFilter(gamma=1.0, scorer="llm_judge", scorer_params=params)
        (row,) = judging.run(make_dataset([merged("seven", parents)]))
        assert len(server.requests) == 3
    assert row[STATS]["quality_score"] == 5
    assert row[STATS]["merge_quality_before"] == 3.5
