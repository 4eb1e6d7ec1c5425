"""Six digits among the tokens a server lists: in one spelling, or not at all."""

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.scoring.digit_logprobs import digit_logprobs, parse_digit_logprobs

VALUES = (-1.0, -2.0, -3.0, -4.0, -5.0, -6.0)
LLAMA = (29896, 29906, 29941, 29946, 29945, 29953)
MISTRAL = (28740, 28750, 28770, 28781, 28782, 28784)


def spelled(names) -> dict[str, float]:
    return dict(zip(names, VALUES, strict=True))


SPELLINGS = {
    "bare": [f"{digit}" for digit in range(1, 7)],
    "sentencepiece": [f"▁{digit}" for digit in range(1, 7)],
    "blank": [f" {digit}" for digit in range(1, 7)],
    "llama ids": [f"token_id:{number}" for number in LLAMA],
    "mistral ids": [f"token_id:{number}" for number in MISTRAL],
}


@pytest.mark.parametrize("names", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_of_the_digits_is_read_in_their_order(names):
    listed = dict(reversed(spelled(names).items())) | {"7": -0.5, "\n": -0.1, "token_id:2": -0.2}
    assert digit_logprobs(listed) == VALUES


def test_the_bare_digit_wins_over_the_one_after_a_blank():
    assert digit_logprobs({f" {digit}": 0.0 for digit in range(1, 7)} | spelled(SPELLINGS["bare"])) == VALUES


def test_spellings_are_not_mixed():
    mixed = spelled(SPELLINGS["bare"])
    del mixed["3"]
    assert digit_logprobs(mixed | {" 3": -3.0}) is None
    ids = spelled(SPELLINGS["llama ids"])
    del ids[f"token_id:{LLAMA[2]}"]
    assert digit_logprobs(ids | {f"token_id:{MISTRAL[2]}": -3.0}) is None


@pytest.mark.parametrize("digit", range(1, 7))
def test_any_missing_digit_is_no_answer(digit):
    listed = spelled(SPELLINGS["bare"])
    del listed[str(digit)]
    assert digit_logprobs(listed) is None


@pytest.mark.parametrize("text", ["{}", '{"1": -1}'])
def test_a_text_without_the_digits_says_so(text):
    with pytest.raises(ReplyError, match="digits_missing"):
        parse_digit_logprobs(text)


@pytest.mark.parametrize("text", ["[]", "4", "", '{"1": "x"}', '{"1": NaN}', "[" * 100_000])
def test_a_text_that_is_no_object_of_numbers_is_unparsable(text):
    with pytest.raises(ReplyError, match="unparsable"):
        parse_digit_logprobs(text)
