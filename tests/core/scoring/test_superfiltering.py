"""IFD and perplexity: golden values, and which tokens count."""

import math

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.superfiltering import Span, difficulty, prompt_text, response_spans, sample_text


@pytest.mark.parametrize(
    ("measure", "losses", "expected"),
    [("ppl_ratio", [1.2, 2.0], 0.449329), ("loss_ratio", [1.2, 2.0], 0.6), ("perplexity", [math.log(20)], 20.0)],
)
def test_golden_values(measure, losses, expected):
    assert difficulty(measure, losses) == pytest.approx(expected, abs=1e-6)


def test_the_two_ratios_order_rows_otherwise():
    easy, hard = [0.1, 0.2], [3.0, 4.0]
    assert difficulty("loss_ratio", easy) < difficulty("loss_ratio", hard)
    assert difficulty("ppl_ratio", easy) > difficulty("ppl_ratio", hard)


@pytest.mark.parametrize("losses", [[math.nan, 1.0], [1.0, math.inf], [800.0, 0.0]])
def test_what_is_no_finite_number_is_no_score(losses):
    assert difficulty("ppl_ratio", losses) is None
    assert difficulty("loss_ratio", [1.0, 0.0]) is None


def test_texts():
    assert prompt_text(Sample("Do.", "", "Done.")) == "Do.\n"
    assert prompt_text(Sample("Do.", "this", "Done.")) == "Do.\nthis\n"
    assert sample_text(Sample("Do.", "this", "Done.")) == "Do.\nthis\nDone."


def test_without_bos_the_first_token_of_the_response_alone_has_no_loss():
    assert response_spans([1, 2], [7, 8, 9], [], 100) == (Span((1, 2, 7, 8, 9), 2), Span((7, 8, 9), 1))


def test_with_bos_every_token_of_the_response_counts_both_times():
    given, alone = response_spans([1, 2], [7, 8, 9], [0], 100)
    assert given == Span((0, 1, 2, 7, 8, 9), 3)
    assert alone == Span((0, 7, 8, 9), 1)


def test_what_is_too_long_loses_its_end_and_as_many_tokens_count_in_both():
    given, alone = response_spans([1, 2, 3], list(range(10, 30)), [], 8)
    assert given == Span((1, 2, 3, 10, 11, 12, 13, 14), 3)
    # 1,024 less the prompt, plus one: the released code's, whose first token does not count.
    assert alone == Span((10, 11, 12, 13, 14, 15), 1)
    assert len(given.tokens) - given.first == len(alone.tokens) - alone.first == 5


@pytest.mark.parametrize(
    ("prompt", "response", "reason"),
    [([1], [], "empty_response"), ([1], [7], "response_too_short"), ([1] * 8, [7, 8], "instruction_too_long")],
)
def test_rows_without_a_score_say_why(prompt, response, reason):
    assert response_spans(prompt, response, [], 8) == reason
