"""Drawing each row of a batch by itself, and ending it by itself."""

import pytest
import torch

from mergeit_ops.llm.decoding import Draw, Ends

SCORES = torch.log(torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]]))


def drawn(draw: Draw, scores: torch.Tensor) -> list[int]:
    found = draw(torch.zeros((len(scores), 1), dtype=torch.long), scores)
    assert torch.isfinite(found).sum(dim=-1).tolist() == [1] * len(scores)
    return found.argmax(dim=-1).tolist()


def test_what_a_row_becomes_does_not_depend_on_the_others():
    alone = Draw([], [7])
    together = Draw([], [3, 7])
    for _ in range(50):
        scores = torch.cat([SCORES[1:], SCORES[:1]])
        assert drawn(alone, SCORES[:1])[0] == drawn(together, scores)[1]


def test_tokens_are_drawn_as_often_as_they_are_likely_and_never_without_probability():
    draw = Draw([], [1, 2])
    counts = torch.zeros(2, 3)
    for _ in range(2_000):
        for row, token in enumerate(drawn(draw, SCORES)):
            counts[row, token] += 1
    assert counts[1, 2] == 0
    torch.testing.assert_close(counts / 2_000, torch.exp(SCORES), atol=0.05, rtol=0)


def test_the_highest_draw_still_has_a_token():
    draw = Draw([], [0])
    draw._sources = [type("Source", (), {"random": staticmethod(lambda: 1 - 2**-53)})()]
    assert drawn(draw, SCORES[1:]) == [1]


def test_warpers_come_before_the_draw():
    only_first = lambda ids, scores: scores.masked_fill(torch.tensor([False, True, True]), -torch.inf)  # noqa: E731
    assert drawn(Draw([only_first], [1, 2]), SCORES) == [0, 0]


def test_rows_end_at_their_end_token_their_limit_or_their_stop_text():
    ends = Ends([9, 2, 9, 1], [5], lambda ids, scores: ids[:, -1] == 8, "cpu")
    steps = [[1, 1, 1, 1], [5, 1, 1, 1], [1, 1, 8, 1]]
    done = [ends(torch.tensor(step)[:, None], None).tolist() for step in steps]
    assert done == [[False, False, False, True], [True, True, False, True], [True, True, True, True]]
    assert ends.lengths.tolist() == [2, 2, 3, 1]


@pytest.mark.parametrize("end_ids", [[], [0]])
def test_without_a_stop_text_and_without_end_tokens_the_limit_ends(end_ids):
    ends = Ends([1], end_ids, None, "cpu")
    assert ends(torch.tensor([[3]]), None).tolist() == [True]
