"""Which layout a dataset has."""

import pytest

from mergeit_ops.core.formats import resolve_format


@pytest.mark.parametrize(
    ("name", "columns", "complaint"),
    [
        ("auto", ["text"], "no sample format fits; the dataset has the columns 'text'"),
        (
            "auto",
            ["instruction", "output", "messages"],
            r"more than one sample format: 'alpaca' \(instruction, output\) and 'messages' \(messages\); "
            "set sample_format to one of them",
        ),
        (
            "alpaca",
            ["instruction", "text"],
            "column 'output' of sample format 'alpaca' is missing.*'instruction', 'text'",
        ),
        ("messages", [], "the dataset has: none"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, columns, complaint):
    with pytest.raises(ValueError, match=complaint):
        resolve_format(name, columns)


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["instruction", "input", "output"], "alpaca"),
        (["messages", "input", "output"], "messages"),
        (["query", "response", "input", "output"], "query_response"),
    ],
)
def test_input_and_output_do_not_stand_in_the_way_of_a_layout(columns, name):
    assert resolve_format("auto", columns).name == name


@pytest.mark.parametrize("columns", [["input", "output"], ["instructions", "input", "output"]])
def test_input_and_output_alone_are_taken_for_question_and_answer_only_if_you_say_so(columns):
    with pytest.raises(ValueError, match="no sample format fits"):
        resolve_format("auto", columns)
    assert resolve_format("prompt_completion", columns).required_columns == ("input", "output")
