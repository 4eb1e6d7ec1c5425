"""Answers: what is read, what is refused and with which reason."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeit_ops.core.replies import MAX_REPLY_CHARS, FailureReason, ReplyError, parse_reply
from mergeit_ops.core.sample import Sample

PARENTS = (Sample("Name a bird.", "", "Wren"), Sample("Name a fish.", "", "Pike"))
GOOD = {"instruction": "Name a bird and a fish.", "input": "", "output": "Wren and pike"}
MERGED = Sample(**GOOD)
TEXT = json.dumps(GOOD)


def reason(text: str, parents=PARENTS) -> str:
    with pytest.raises(ReplyError) as caught:
        parse_reply(text, parents)
    return str(caught.value.reason)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\ufeff \n{TEXT}\n",
        json.dumps(GOOD, indent=2),
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"```json {TEXT} ```",
        f"Here is the merged record:\n{TEXT}\nI hope it helps {{}}!",
        f"Sure!\n```json\n{TEXT}\n```\nDone.",
        f"A set {{a, b}} first. {TEXT}",
        f"[{TEXT}]",
        f"```json\n[{TEXT}]\n```",
        f"<think>Maybe {TEXT[:20]} or so</think>\n{TEXT}",
        json.dumps({**GOOD, "input": None}),
        json.dumps({"instruction": GOOD["instruction"], "output": GOOD["output"]}),
        json.dumps({**GOOD, "explanation": "because"}),
        TEXT[:-1] + ",}",
        TEXT.replace('"', "'"),
        '{instruction: "Name a bird and a fish.", input: "", output: "Wren and pike"}',
    ],
)
def test_read(text):
    assert parse_reply(text, PARENTS) == MERGED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        (" \n\ufeff", "empty"),
        (json.dumps({**GOOD, "output": " \n"}), "empty"),
        (json.dumps({**GOOD, "instruction": ""}), "empty"),
        ("I cannot help with that.", "unparsable"),
        ("null", "unparsable"),
        ("42", "unparsable"),
        ('"text"', "unparsable"),
        ("[]", "unparsable"),
        ("{}", "unparsable"),
        (f"[{TEXT}, {TEXT}]", "unparsable"),
        (f"{TEXT}\n{TEXT}", "unparsable"),
        (json.dumps({"merged": GOOD}), "unparsable"),
        (json.dumps({"instruction": "x", "input": ""}), "unparsable"),
        (json.dumps({"input": "", "output": "x"}), "unparsable"),
        (json.dumps({**GOOD, "output": ["a", "b"]}), "unparsable"),
        (json.dumps({**GOOD, "output": 7}), "unparsable"),
        (json.dumps({**GOOD, "output": None}), "unparsable"),
        (json.dumps({**GOOD, "instruction": {"text": "x"}}), "unparsable"),
        (json.dumps({**GOOD, "input": ["x"]}), "unparsable"),
        (TEXT[:-1], "unparsable"),
        (TEXT[:-6], "unparsable"),
        ('{"instruction": "Write C.", "input": "", "output": "int main() { return 0; }\\n and th', "unparsable"),
        (json.dumps({**GOOD, "output": "\ud800"}), "unparsable"),
        (json.dumps({**GOOD, "output": "a\udfffb"}, ensure_ascii=False), "unparsable"),
        (json.dumps({**GOOD, "instruction": "Name  a\nbird.", "output": " Wren "}), "echo"),
        (json.dumps({**GOOD, "instruction": "Name a fish.", "output": "Pike"}), "echo"),
        (json.dumps({**GOOD, "output": "x" * MAX_REPLY_CHARS}), "unparsable"),
    ],
)
def test_refused(text, expected):
    assert reason(text) == expected


def test_a_missing_input_is_not_guessed_when_a_parent_has_material():
    parents = (PARENTS[0], Sample("Translate.", "Guten Tag", "Good day"))
    assert reason(json.dumps({"instruction": "a", "output": "b"}), parents) == "unparsable"


@pytest.mark.parametrize("wrap", ["{}", "```json\n{}\n```", "[{}]", "Look: {} there"])
@pytest.mark.parametrize(
    "output",
    ["```python\nprint({1: 2})\n```", "a ``` b ```json\n{}\n``` c", '{"instruction": "x", "output": "y"}', "😀\t\\n"],
)
def test_an_output_survives_untouched(wrap, output):
    text = wrap.replace("{}", json.dumps({**GOOD, "output": output}), 1)
    assert parse_reply(text, PARENTS).output == output


def test_control_characters_inside_a_string_are_read():
    text = TEXT.replace("Wren and pike", "Wren\nand\tpike")
    assert parse_reply(text, PARENTS).output == "Wren\nand\tpike"


@pytest.mark.parametrize(("systems", "expected"), [(("s", "s"), "s"), (("s", ""), ""), (("", ""), "")])
def test_a_shared_system_prompt_is_kept(systems, expected):
    parents = [Sample(p.instruction, p.input, p.output, system) for p, system in zip(PARENTS, systems, strict=True)]
    assert parse_reply(TEXT, parents).system == expected


@pytest.mark.parametrize(
    "text",
    [
        "{" * 500_000,
        "[" * 500_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "{" * 19_000 + '"}',
        '{"instruction": "' + "\\" * 900_000 + '"}',
        "1" * 900_000,
        '{"instruction": ' + "9" * 900_000 + "}",
    ],
)
def test_hostile_texts_end_soon(text):
    start = time.perf_counter()
    assert reason(text) == "unparsable"
    assert time.perf_counter() - start < 5


PIECES = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.sampled_from(
        ['{"instruction": "a"', ', "output": "b"', '"input": ""', "}", "{", "[", "]", "```json\n", "```", '"', "'", ":",
         ",", "\\", "\\ud800", "null", "NaN", "1e999", "<think>", "</think>", "//", "/*", "\n", TEXT]
    ),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["instruction", "input", "output", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=1500, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join) | JSON.map(json.dumps))
@example("{" + "'" * 50 + '"}')
def test_whatever_the_answer_a_usable_row_or_a_reason_from_the_list(text):
    reason_of_failure = None
    try:
        merged = parse_reply(text, PARENTS)
    except ReplyError as error:
        reason_of_failure = error.reason
    if reason_of_failure is None:
        assert merged.instruction.strip()
        assert merged.output.strip()
        f"{merged.instruction}{merged.input}{merged.output}".encode()
    else:
        assert reason_of_failure in FailureReason


def test_reasons_print_as_their_code():
    assert f"{FailureReason.NO_CHOICES} {FailureReason.ECHO!s}" == "no_choices echo"
    assert json.dumps(FailureReason.BUDGET) == '"budget"'
