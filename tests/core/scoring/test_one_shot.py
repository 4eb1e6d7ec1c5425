"""The tokens of a response without a demonstration and with one."""

from mergeit_ops.core.scoring.one_shot import ShotSpans, shot_spans
from mergeit_ops.core.scoring.response_loss import Span


def spans(max_length: int, demo=(7, 8, 9), response=(4, 5)) -> ShotSpans | str:
    return shot_spans([2, 3], response, demo, [1], max_length)


def test_the_demonstration_stands_between_the_start_and_the_prompt():
    assert spans(8) == ShotSpans(Span((1, 2, 3, 4, 5), 3), Span((1, 7, 8, 9, 2, 3, 4, 5), 6))


def test_a_long_demonstration_loses_its_beginning_and_the_scored_tokens_stay():
    for most, demo in ((7, (8, 9)), (6, (9,))):
        assert spans(most) == ShotSpans(Span((1, 2, 3, 4, 5), 3), Span((1, *demo, 2, 3, 4, 5), 3 + len(demo)))


def test_without_room_there_is_no_span_with_a_demonstration():
    assert spans(5) == ShotSpans(Span((1, 2, 3, 4, 5), 3), None)
    assert spans(4) == ShotSpans(Span((1, 2, 3, 4), 3), None)
    assert spans(9, demo=()) == ShotSpans(Span((1, 2, 3, 4, 5), 3), None)


def test_rows_without_a_span_say_why():
    assert spans(3) == "instruction_too_long"
    assert spans(9, response=()) == "empty_response"
