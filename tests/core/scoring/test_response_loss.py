"""IFD and perplexity: golden values, and which tokens count."""

import math

import pytest

from mergeit_ops.core.scoring.response_loss import (
    MEASURES,
    NEEDS,
    Span,
    TokenTurn,
    measured,
    measured_over,
    question_spans,
    response_spans,
    turn_spans,
)


def losses(given: float, alone: float) -> dict[str, float]:
    return {"given": given, "alone": alone, "whole": given}


def mean(log_probabilities: list[float]) -> float:
    return -sum(log_probabilities) / len(log_probabilities)


@pytest.mark.parametrize(
    ("given", "alone", "loss_ratio", "ppl_ratio"),
    [
        ([-1, -1, -1], [-2, -2, -2], 0.5, 0.367879),
        ([-3.6], [-4], 0.9, 0.670320),
        ([-0.4, -0.4], [-0.5, -0.5], 0.8, 0.904837),
        ([-2.2], [-2], 1.1, 1.221403),
        ([-1, -2], [-1.5, -1.5], 1, 1),
        ([-3, -1, -1], [-4, -1.2, -1.1], 0.793651, 0.648344),
    ],
)
def test_golden_values_of_both_forms_of_ifd(given, alone, loss_ratio, ppl_ratio):
    found = losses(mean(given), mean(alone))
    assert measured("ifd_loss_ratio", found).value == pytest.approx(loss_ratio, abs=1e-6)
    assert measured("ifd", found).value == pytest.approx(ppl_ratio, abs=1e-6)


def test_the_reverse_ifd_is_the_ratio_of_the_perplexities_of_the_instruction():
    found = {"question_given": 1.0, "question_alone": 1.5}
    assert measured("reverse_ifd", found).value == pytest.approx(0.606531, abs=1e-6)
    assert measured("reverse_ifd", {"question_alone": 1.5}).status == "response_too_short"


@pytest.mark.parametrize("measure", ["perplexity", "sample_perplexity"])
def test_perplexity_is_the_exponential_of_the_mean_loss(measure):
    assert measured(measure, losses(math.log(20), 1.0)).value == pytest.approx(20.0)


def test_the_two_ratios_order_rows_otherwise():
    easy, hard = losses(0.1, 0.2), losses(3.0, 4.0)
    assert measured("ifd_loss_ratio", easy).value < measured("ifd_loss_ratio", hard).value
    assert measured("ifd", easy).value > measured("ifd", hard).value


@pytest.mark.parametrize("found", [losses(math.nan, 1.0), losses(1.0, math.inf), losses(800.0, 0.0)])
def test_what_is_no_finite_number_is_no_score(found):
    assert measured("ifd", found).status == "not_finite"
    assert measured("ifd_loss_ratio", losses(1.0, 0.0)).status == "not_finite"


def test_every_measure_says_what_it_needs_and_has_a_stat_of_its_own():
    assert set(MEASURES) == set(NEEDS)
    assert len(set(MEASURES.values())) == len(MEASURES)


def test_no_stat_is_one_of_data_juicers_own():
    """Its filters skip a sample that has their key already."""
    from data_juicer.utils.constant import StatsKeysConstant

    theirs = {value for value in vars(StatsKeysConstant).values() if isinstance(value, str)}
    assert "perplexity" in theirs
    assert theirs.isdisjoint(MEASURES.values())


def test_without_a_start_token_the_first_token_of_the_response_alone_has_no_loss():
    found = response_spans([1, 2], [7, 8, 9], [], 100)
    assert (found["given"], found["alone"]) == (Span((1, 2, 7, 8, 9), 2), Span((7, 8, 9), 1))
    assert found["whole"] == Span((1, 2, 7, 8, 9), 1)


def test_with_a_start_token_every_token_of_the_response_counts_both_times():
    found = response_spans([1, 2], [7, 8, 9], [0], 100)
    assert found["given"] == Span((0, 1, 2, 7, 8, 9), 3)
    assert found["alone"] == Span((0, 7, 8, 9), 1)


@pytest.mark.parametrize("start", [[], [0]])
def test_a_long_response_loses_its_end_and_as_many_tokens_count_in_both(start):
    found = response_spans([1, 2, 3], list(range(10, 30)), start, 8)
    assert found["given"].tokens == (*start, 1, 2, 3, *range(10, 15 - len(start)))
    counted = [len(found[name].tokens) - found[name].first for name in ("given", "alone")]
    assert counted == [5 - len(start)] * 2


@pytest.mark.parametrize(
    ("prompt", "response", "reason"),
    [([1], [], "empty_response"), ([1] * 8, [7, 8], "instruction_too_long")],
)
def test_rows_without_a_score_say_why(prompt, response, reason):
    assert response_spans(prompt, response, [], 8) == reason


def test_one_token_alone_has_no_loss_without_a_start_token_and_still_one_behind_its_prompt():
    found = response_spans([1], [7], [], 8)
    assert set(found) == {"given", "whole"}
    assert measured("ifd", {"given": 1.0}).status == "response_too_short"
    assert measured("perplexity", {"given": 1.0}).value == pytest.approx(math.e)
    assert set(response_spans([1], [7], [0], 8)) == {"given", "alone", "whole"}


def test_a_heading_before_the_response_alone_makes_its_first_token_count():
    found = response_spans([1, 2], [7, 8, 9], [], 100, alone=[5])
    assert (found["given"], found["alone"]) == (Span((1, 2, 7, 8, 9), 2), Span((5, 7, 8, 9), 1))


@pytest.mark.parametrize(("start", "alone"), [([0], []), ([], [5]), ([0], [5, 6, 7, 8, 9])])
@pytest.mark.parametrize("most", [5, 6, 9, 30])
def test_behind_anything_at_all_both_means_are_over_as_many_tokens(start, alone, most):
    spans = response_spans([1, 2], [7] * 20, start, most, alone)
    if spans == "instruction_too_long":
        assert most <= max(len(start) + 2, len(start) + len(alone))
        return
    scored = {len(span.tokens) - span.first for name, span in spans.items() if name != "whole"}
    assert len(scored) == 1
    assert max(len(span.tokens) for span in spans.values()) <= most


@pytest.mark.parametrize("most", [4, 8, 40])
def test_the_same_tokens_of_the_instruction_count_given_the_response_and_alone(most):
    spans = question_spans([5] * 10, [1, 2, 3], [0], most)
    given, alone = spans["question_given"], spans["question_alone"]
    assert given.tokens[given.first :] == alone.tokens[alone.first :] == (1, 2, 3)[: most - 2]
    assert len(given.tokens) <= most


def test_turns_that_continue_each_other_are_spans_of_the_same_tokens():
    turns = [TokenTurn([1, 2], [7, 8]), TokenTurn([3], [9], continues=True)]
    first, second = turn_spans(turns, [0], 100, alone=[5])
    assert first == {"given": Span((0, 1, 2, 7, 8, 3, 9), 3, 5), "alone": Span((0, 5, 7, 8), 2)}
    assert second == {
        "given": Span((0, 1, 2, 7, 8, 3, 9), 6),
        "alone": Span((0, 5, 9), 2),
        "whole": Span((0, 1, 2, 7, 8, 3, 9), 1),
    }
    assert first["given"].tokens is second["given"].tokens


def test_a_turn_that_stands_behind_another_text_is_a_span_of_its_own():
    found = turn_spans([TokenTurn([1], [7]), TokenTurn([1, 4, 3], [9])], [0], 100)
    assert [spans["given"] for spans in found] == [Span((0, 1, 7), 2), Span((0, 1, 4, 3, 9), 4)]


def test_one_turn_has_the_spans_of_a_response():
    assert turn_spans([TokenTurn([1, 2], [7, 8, 9])], [0], 5, [5]) == [response_spans([1, 2], [7, 8, 9], [0], 5, [5])]


@pytest.mark.parametrize(("most", "counted"), [(7, [2, 1]), (6, [2]), (5, [2]), (4, [1])])
def test_a_long_conversation_loses_its_end_and_as_many_tokens_count_in_both(most, counted):
    found = turn_spans([TokenTurn([1, 2], [7, 8]), TokenTurn([3], [9, 9], continues=True)], [0], most)
    assert [spans["given"].count for spans in found] == [spans["alone"].count for spans in found] == counted
    assert max(len(spans["given"].tokens) for spans in found) <= most


def test_a_conversation_whose_first_question_fills_everything_says_so():
    assert turn_spans([TokenTurn([1] * 9, [7]), TokenTurn([2], [8], continues=True)], [0], 9) == "instruction_too_long"


def test_the_golden_values_of_two_turns():
    """Turns A and B of the golden values: 3 tokens at 1 and 2, 1 token at 3.6 and 4; means 6.6 / 4 and 10 / 4."""
    turns = [losses(1, 2), losses(3.6, 4)]
    tokens = [dict.fromkeys(losses(0, 0), count) for count in (3, 1)]
    assert measured_over("ifd_loss_ratio", turns, tokens).value == pytest.approx(0.66)
    assert measured_over("ifd", turns, tokens).value == pytest.approx(math.exp(-3.4 / 4))
    assert measured_over("perplexity", turns, tokens).value == pytest.approx(math.exp(6.6 / 4))
    assert measured_over("ifd_loss_ratio", turns, tokens, "max").value == pytest.approx(0.9)
    assert measured_over("ifd", turns, tokens, "max").value == pytest.approx(0.670320, abs=1e-6)


@pytest.mark.parametrize("over", ["mean", "max"])
def test_a_turn_without_a_loss_that_a_measure_needs_does_not_count_in_it(over):
    turns = [{"given": 5.0}, losses(1, 2)]
    tokens = [{"given": 1}, dict.fromkeys(losses(0, 0), 3)]
    assert measured_over("ifd_loss_ratio", turns, tokens, over).value == 0.5
    assert measured_over("perplexity", turns, tokens, over).value == pytest.approx(
        math.exp(2.0) if over == "mean" else math.exp(5.0)
    )
    assert measured_over("ifd", turns[:1], tokens[:1], over).status == "response_too_short"


@pytest.mark.parametrize("over", ["mean", "max"])
def test_a_turn_that_is_no_number_leaves_the_conversation_without_a_score(over):
    turns = [losses(1, 2), losses(math.nan, 1)]
    tokens = [dict.fromkeys(losses(0, 0), 2)] * 2
    assert measured_over("ifd", turns, tokens, over).status == "not_finite"
