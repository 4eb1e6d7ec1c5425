"""Rows of which a model reads only a part: their number is on record, and the user hears of it at the end."""

from mergeit_ops.scorers.cut_rows import CutRows, CutsRows


class Scorer(CutsRows):
    def __init__(self) -> None:
        self.cut_rows = CutRows("mine", "the end")


def test_nothing_is_said_if_every_row_fits(lines):
    scorer = Scorer()
    scorer.cut_rows.note(False)
    scorer.finish()
    assert not scorer.figures()
    assert not lines


def test_the_number_and_what_was_read_are_said(lines):
    scorer = Scorer()
    for number in range(1_500):
        scorer.cut_rows.note(number % 3 == 0)
    scorer.finish()
    assert scorer.figures() == {"rows_cut": 500}
    (line,) = lines
    assert line.startswith("mine: 500 of 1,500 rows did not fit")
    assert "the end that fits" in line
    assert "raise max_length" in line
