"""Where a text begins among the tokens that a server lists, and the losses that follow."""

from __future__ import annotations

import math

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.scoring.prompt_tokens import first_token_behind, losses_of, spells, tokens_as_text, tokens_of

PARTIAL = "\ufffd"


@pytest.mark.parametrize(
    ("tokens", "before", "behind", "position"),
    [
        (["Do", ".", "\n", "Done"], "Do.\n", "Done", 3),
        # The server's own BOS, shown or not known.
        (["<s>", "Do", ".", "\n", "Done"], "Do.\n", "Done", 4),
        (["<s>", "Done"], "", "Done", 1),
        ([None, "Done"], "", "Done", 1),
        ([None, "ne"], "", "Done", 0),
        (["Done"], "", "Done", 0),
        (["<s>", "<s>", "Done"], "<s>", "Done", 2),
        (["<s>", "", "", "好", "y"], "<s>", "好y", 1),
        (["<s>", "", "", "好", "y"], "", "好y", 1),
        ([None, "", "", "好", "y"], "<s>", "好y", 1),
        ([None, "<s>", "", "", "好", "y"], "<s>", "好y", 2),
        ([None, "", "", "好", "y"], "", "好y", 1),
        (["<s>", "", "", "好", "\n", "", "", "好"], "好\n", "好", 5),
        # A mark that is not shown, at the start and inside.
        (["", "Do", "\n", "Done"], "</s>Do\n", "Done", 3),
        (["Do", "", "\n", "Done"], "Do<|im_end|>\n", "Done", 3),
        (["Do", "", "Done"], "Do[/INST]", "Done", 2),
        # A BOS that stands in the text, and not among the tokens.
        (["\n", "Do", "\n", "Done"], "</s>\nDo\n", "Done", 3),
        (["Done"], "</s>", "Done", 0),
        # Bytes of a character: as nothing, as replacement characters, and with a blank in front.
        (["Hi", "", "", "", "", "\n", "y"], "Hi😀\n", "y", 6),
        (["Hi", PARTIAL, PARTIAL, PARTIAL, PARTIAL, "\n", "y"], "Hi😀\n", "y", 6),
        (["Hi", "\n", "", "", "😀", "!"], "Hi\n", "😀!", 2),
        (["Hi", " " + PARTIAL, PARTIAL, "\n", "y"], "Hi 😀\n", "y", 4),
        (["Hi", "\n", PARTIAL, PARTIAL, PARTIAL], "Hi\n", "好", 2),
        # A blank that the tokenizer puts first, and blanks that the server does not show.
        ([" Name", " it", "\n", "Apple"], "Name it\n", "Apple", 3),
        (["<s>", "Name", "it", "\n", "Apple"], "Name it\n", "Apple", 4),
        (["<s>", " ", "\n", "Apple"], "\n", "Apple", 3),
        # Blanks that are tokens of their own.
        (["x", "\n", " ", " ", " y"], "x\n", "   y", 2),
    ],
)
def test_the_first_token_of_a_text_is_found(tokens, before, behind, position):
    assert first_token_behind(tokens, before, behind) == position


@pytest.mark.parametrize(
    ("tokens", "before", "behind"),
    [
        # A token across the border; a merge of two line breaks; a blank that belongs to the next word.
        (["Do", ".\nDone"], "Do.\n", "Done"),
        (["Do", ".", "\n\n", "x"], "Do.\n", "\nx"),
        (["ASSISTANT", ":", " Apple"], "ASSISTANT: ", "Apple"),
        (["ASSISTANT", ":", "Apple"], "ASSISTANT: ", "Apple"),
        # Two characters of bytes, one on each side.
        (["x", *[PARTIAL] * 8, "y"], "x😀", "😀y"),
        (["", "", "", "", "y"], "", "😀y"),
        (["x", "", "", "", "", "y"], "x😀", "y"),
        # Other texts: a tokenizer that changes them, a part that is missing, a part too many.
        (["do", ".", "\n", "done"], "Do.\n", "Done"),
        (["Do", ".", "\n"], "Do.\n", "Done"),
        (["Do", ".", "\n", "Done", "!"], "Do.\n", "Done"),
        ([], "Do.\n", "Done"),
        (["Do", None, "Done"], "Do.\n", "Done"),
    ],
)
def test_where_it_cannot_be_told_there_is_none(tokens, before, behind):
    assert first_token_behind(tokens, before, behind) is None


def test_a_long_text_of_bytes_alone_takes_no_time():
    text = "好" * 1500
    tokens = ["x", "\n", *[PARTIAL] * 4500]
    assert first_token_behind(tokens, "x\n", text) == 2


def test_tokens_spell_their_text():
    assert spells(["a", "b"], "ab")
    assert not spells(["a", "b"], "abc")


def test_the_losses_are_means_over_the_tokens_of_their_part():
    """By hand: -1 and -3 behind the border; with -2 in front of it, the start left out."""
    answer = tokens_as_text(["<s>", "Do", "\n", "Do", "ne"], [None, -9.0, -2.0, -1.0, -3.0])
    losses = losses_of(answer, "", "Do\n", "Done")
    assert losses.behind == 2.0
    assert losses.whole == 15.0 / 4
    losses = losses_of(answer, "Do", "\n", "Done")
    assert (losses.behind, losses.whole) == (2.0, 2.0)


def test_the_same_tokens_have_the_same_name():
    given = losses_of(tokens_as_text(["x", "\n", "Do", "ne"], [None, -1, -1, -1]), "", "x\n", "Done")
    alone = losses_of(tokens_as_text(["\n", "Do", "ne"], [None, -2, -2]), "\n", "", "Done")
    other = losses_of(tokens_as_text(["\n", "Don", "e"], [None, -2, -2]), "\n", "", "Done")
    assert given.tokens == alone.tokens != other.tokens


def test_a_loss_that_is_not_there_says_why():
    losses = losses_of(tokens_as_text(["Do", "ne"], [None, -1.0]), "", "", "Done")
    assert (losses.behind, losses.whole) == ("no_logprobs", 1.0)
    losses = losses_of(tokens_as_text(["x", "\nDone"], [None, -1.0]), "", "x\n", "Done")
    assert (losses.behind, losses.whole) == ("token_across_border", 1.0)
    losses = losses_of(tokens_as_text(["y"], [None]), "", "", "y")
    assert (losses.behind, losses.whole) == ("no_logprobs", "response_too_short")


def test_minus_infinity_stays_infinite():
    """vLLM writes -9999."""
    assert losses_of(tokens_as_text(["\n", "y"], [None, -9999.0]), "\n", "", "y").behind == math.inf


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"tokens":["a"],"logprobs":[]}', '{"tokens":[1],"logprobs":[null]}'])
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(ReplyError, match="unparsable"):
        tokens_of(text)
