"""Header fields that cannot be sent, without a word of what they hold."""

import pytest

from mergeit_ops.llm.header_fields import headers_problem, text_problem

SECRET = "hun-ter2"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"": "x"}, "holds '', which is not a valid header name"),
        ({"X Team": "x"}, "holds 'X Team'"),
        ({"X-Team:": "x"}, "not a valid header name"),
        ({7: "x"}, "holds 7"),
        ({"Content-Length": "3"}, "must not hold 'Content-Length'"),
        ({"CONNECTION": SECRET}, "the client sets it"),
        ({"X-Team": None}, "the value of 'X-Team' is null: put it in quotes"),
        ({"X-Team": 5}, "of type int"),
        ({"X-Team": b"x"}, "of type bytes"),
        ({"X-Team": f"{SECRET}\n"}, "line break"),
        ({"X-Team": f"{SECRET}é"}, "not ASCII"),
        ({"X-Good": "a", "X-Team": f"{SECRET} "}, "blank"),
    ],
)
def test_the_name_is_given_and_the_value_is_not(headers, words):
    found = headers_problem(headers)
    assert words in found
    assert SECRET not in found


def test_what_can_be_sent_has_no_problem():
    assert headers_problem({}) is None
    assert headers_problem({"X-Team": "data", "x_empty": "", "a.b~c!": "x y\u007e"}) is None


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("ü", "ASCII"),
        ("a\tb", "control"),
        ("a\x7f", "control"),
        ("a\r\nb", "line break"),
        (" a", "blank"),
        ("a ", "blank"),
    ],
)
def test_a_text_that_cannot_be_a_value(value, word):
    assert word in text_problem(value)


@pytest.mark.parametrize("value", ["a", "a b", "Bearer sk-1", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~"])
def test_a_text_that_can_be_a_value(value):
    assert text_problem(value) is None
