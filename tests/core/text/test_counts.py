"""Numbers agree with their nouns and verbs."""

import pytest

from mergeit_ops.core.text.counts import agree, many


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 rows are"), (1, "1 row is"), (2, "2 rows are"), (1234, "1,234 rows are")]
)
def test_a_number_and_its_words_agree(number, said):
    assert f"{many(number, 'row')} {agree(number, 'is', 'are')}" == said


def test_a_plural_may_be_irregular():
    assert [many(number, "loss", "losses") for number in (1, 2)] == ["1 loss", "2 losses"]
