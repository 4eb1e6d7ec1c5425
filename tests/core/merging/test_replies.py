"""Answers: what is read, what is refused and with which reason."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeit_ops.core.merging.replies import MAX_REPLY_CHARS, FailureReason, ReplyError, parse_reply
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
        f"Draft: {json.dumps({**GOOD, 'output': 'draft'})} {{a}}\n</think>\n{TEXT}",
        f"Let me see.\n</think>\n```json\n{TEXT}\n```",
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
        ("I cannot help with that.", "refused"),
        ("I'm sorry, but I can't merge these records.", "refused"),
        ("I’m unable to do this.", "refused"),
        ("**As an AI language model**, I do not.", "refused"),
        ("<think>Hm, is this fine?</think>\nSorry, no {idea}.", "refused"),
        (json.dumps({**GOOD, "output": "I'm sorry, but I can't assist with that request."}), "refused"),
        (json.dumps({**GOOD, "output": "I'm unable to merge these records."}), "refused"),
        (json.dumps({**GOOD, "output": "I cannot create such content."}), "refused"),
        ("I can see that both are about animals.", "unparsable"),
        ("The records cannot be merged.", "unparsable"),
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
        (r'{"instruction": "W", "input": "", "output": "Use this JSON: {\"a\": \"b\"} and then', "unparsable"),
        (r'{"instruction": "W", "input": "", "output": "Use this JSON: {\"a\": \"b\"}', "unparsable"),
        (r'{"instruction": "W", "input": "", "output": "function f() { return \"x\"}', "unparsable"),
        ('{"instruction": "W", "input": "", "output": "Use this JSON: {"a": "b"} and then', "unparsable"),
        ('{"instruction": "W", "input": "", "output": "Use this JSON: {"a": "b"}', "unparsable"),
        ("{'instruction': 'W', 'input': '', 'output': 'Use {\"a\": \"b\"}", "unparsable"),
        (json.dumps({**GOOD, "output": TEXT}).replace('\\"', '"'), "unparsable"),
        (f"Here: {json.dumps({**GOOD, 'output': TEXT})}".replace('\\"', '"'), "unparsable"),
        (f'{TEXT},\n{{"instruction": "W2", "input": "", "output": "t"wo"}}', "unparsable"),
        (f'{{"instruction": "W2", "input": "", "output": "t"wo"}}\n{TEXT}', "unparsable"),
        (f'{TEXT}\n{{"instruction": "W2", "inp', "unparsable"),
        (f'Draft: {TEXT}\n</think>\n{{"instruction": "x", "input": "", "output": "fin', "unparsable"),
        (f"<think>Draft: {TEXT}", "unparsable"),
        (f"Draft: {TEXT}\n</think>\nNo.", "unparsable"),
        (f"Draft: {TEXT}\n</think>\n", "empty"),
    ],
)
def test_refused(text, expected):
    assert reason(text) == expected


@pytest.mark.parametrize(
    "output",
    [
        "I'm sorry to hear that. Let me help.",
        "I can't repudiate my fears.",
        "Sorry, we are closed.",
        "I cannot swim.",
        "I can't help but smile when the rain begins.",
        "I could not write a word that morning.",
        "I will not create chaos, said the fox.",
        "Sorry, I won't do that again!",
        "I'm sorry, I cannot process returns after 30 days.",
    ],
)
def test_an_answer_may_apologise_or_speak_of_what_somebody_cannot_do(output):
    assert parse_reply(json.dumps({**GOOD, "output": output}), PARENTS).output == output


def test_a_refusal_that_a_parent_has_too_is_material():
    refusal = "I cannot help you with that."
    parents = (Sample("What may I take?", "", refusal), PARENTS[1])
    assert parse_reply(json.dumps({**GOOD, "output": f"{refusal} Pike"}), parents).output == f"{refusal} Pike"


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


@pytest.mark.parametrize("end", [",}", "}"])
@pytest.mark.parametrize("output", ["  lead and trail \n", "a\t\n\n", "end "])
def test_whitespace_at_the_end_of_a_text_is_dropped_however_it_was_read(output, end):
    text = json.dumps({**GOOD, "output": output})[:-1] + end
    assert parse_reply(text, PARENTS).output == output.rstrip()


def test_a_long_answer_with_a_trailing_comma_is_read_exactly():
    output = 'a, } "quoted\\" ,] ' * 5_000 + "end"
    assert parse_reply(json.dumps({**GOOD, "output": output})[:-1] + ",}", PARENTS).output == output


def test_an_answer_about_the_tag_that_ends_reasoning_is_read():
    text = json.dumps({**GOOD, "output": "Close it with </think>."})
    for answer in (text, f"```json\n{text}\n```", f"Hm.</think>{text}"):
        assert parse_reply(answer, PARENTS).output == "Close it with </think>."


@pytest.mark.parametrize("cut", range(1, 60))
def test_no_beginning_of_an_answer_is_an_answer(cut):
    code = json.dumps({**GOOD, "output": 'f({"a": {"b": "c"}}); {\'d\': "e"}; "}'})
    assert reason(code[:-cut]) == "unparsable"
    assert reason("Sure: " + code[:-cut]) == "unparsable"


@pytest.mark.parametrize(
    "formula",
    [
        r"\frac{1}{2}",
        r"2 \times 3",
        r"\beta",
        r"a \rho b",
        r"$\theta$",
        r"x \to y",
        r"\text{if}",
        r"\tan x",
        r"\right)",
    ],
)
def test_formulas_whose_backslashes_json_has_eaten_are_refused(formula):
    answer = '{"instruction": "Solve it.", "input": "", "output": "It is %s."}'
    assert reason(answer % formula) == "unparsable"
    assert parse_reply(answer % formula.replace("\\", "\\\\"), PARENTS).output == f"It is {formula}."


def test_a_control_character_that_a_parent_has_is_material():
    parents = (Sample("List ships.", "", "- Warbird\x0b- Cube"), PARENTS[1])
    output = "- Warbird\x0b- Cube\n- Pike"
    assert parse_reply(json.dumps({**GOOD, "output": output}), parents).output == output
    assert reason(json.dumps({**GOOD, "output": "\x0crac{1}{2}"}), parents) == "unparsable"


def test_tabs_that_belong_there_are_kept():
    table = (Sample("Make a table.", "name\tage", "x"), PARENTS[0])
    assert parse_reply(json.dumps({**GOOD, "output": "name\tage"}), table).output == "name\tage"
    code = "func main() {\n\tfmt.Println(1)\n\t\treturn\n}"
    assert parse_reply(json.dumps({**GOOD, "output": code}), PARENTS).output == code
    assert reason(json.dumps({**GOOD, "output": "so\n\theta = 1"})) == "unparsable"


@pytest.mark.parametrize("form", ["{}", "```json\n{}\n```", "Here: {}", "[{}]"])
@pytest.mark.parametrize(
    "table",
    [
        "name\tage",
        "name\tage\ttown\nAda\t36\tLondon\nAlan\t41\tWilmslow",
        "from\tto\nA\tB\nC\to\nan\top\nx\ty\nz\tw",
        "\tbefore\tafter\nrate\t5\t7",
        "def f():\n\tif x:\n\t\treturn y\tif z",
        "a\t\tb\t",
        "key:\tvalue\nother:\tthing",
        "\ttable\n\ttime",
        "naïve\tétat\n表\t格",
    ],
)
def test_tables_are_read_as_tabs(table, form):
    written = json.dumps({**GOOD, "output": f"{table}."})
    literal = written.replace("\\t", "\t")
    for answer in (written, literal):
        assert parse_reply(form.replace("{}", answer, 1), PARENTS).output == f"{table}."


@pytest.mark.parametrize(
    "text",
    [
        r"a \to b\nc \to d",
        r"$\tan x \times \theta$",
        r"open C:\temp now",
        r"print(\"a\tb\")",
        r"x\tfrac{1}{2}",
        r"\textbf{a} and \textit{b}",
        r"\triangle ABC \to \triangle DEF",
    ],
)
def test_what_json_makes_of_single_backslashes_before_a_t_is_refused(text):
    assert reason(f'{{"instruction": "a b", "input": "", "output": "So: {text}."}}') == "unparsable"


def test_a_tab_where_a_parent_has_a_backslash_is_refused():
    parents = (Sample("Where is it?", "", r"In docs\table.md"), PARENTS[1])
    assert reason(json.dumps({**GOOD, "output": "In docs\table.md"}), parents) == "unparsable"
    assert parse_reply(json.dumps({**GOOD, "output": r"In docs\table.md"}), parents).output == r"In docs\table.md"


LONG = {
    "literal tabs": lambda n: TEXT.replace("Wren", "a\tb\t" * n),
    "escaped tabs": lambda n: TEXT.replace("Wren", r"a\tb\t" * n),
    "lines of tabs": lambda n: TEXT.replace("Wren", r"a\tb\nc\td\n" * n),
    "different words behind tabs": lambda n: TEXT.replace(
        "Wren", "".join(rf"\tw{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676 % 26)}" for i in range(n))
    ),
    "returns": lambda n: TEXT.replace("Wren", "a\rb" * n),
    "bells": lambda n: TEXT.replace("Wren", "\x07" * n),
    "tabs in nearly JSON": lambda n: TEXT.replace("Wren", "a\tb\t" * n)[:-1] + ",}",
    "tabs behind words": lambda n: "Here it is: " + TEXT.replace("Wren", "a\tb\t" * n),
    "quotes": lambda n: TEXT.replace("Wren", '\\"a' * n),
    "quotes that are not escaped": lambda n: TEXT.replace("Wren", '"a"\t' * n),
    "depth": lambda n: TEXT.replace('"Wren and pike"', "[" * n + "]" * n),
    "braces": lambda n: "{" * n + TEXT,
    "control characters": lambda n: TEXT.replace("Wren", "".join(map(chr, range(1, 32))) * (n // 31)),
}


@pytest.mark.parametrize("kind", LONG)
def test_an_answer_of_sixteen_times_the_length_takes_nowhere_near_its_square(kind):
    def seconds(n: int) -> float:
        text, taken = LONG[kind](n), []
        for _ in range(3):
            start = time.process_time()
            with contextlib.suppress(ReplyError):
                parse_reply(text, PARENTS)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(48_000) <= 100 * max(seconds(3_000), 0.001)


HOSTILE = [
    "{" * 500_000,
    "[" * 500_000,
    '{"a":' * 100_000 + "1" + "}" * 100_000,
    "{" * 19_000 + '"}',
    '{"instruction": "' + "\\" * 900_000 + '"}',
    "1" * 900_000,
    '{"instruction": ' + "9" * 900_000 + "}",
    '{"instruction": "' + '"' * 19_001 + '"}',
    "{" + '\\"' * 400_000 + '"}',
    "{" + ", " * 400_000 + '"}',
    "</think>" * 120_000,
    '"instruction":' * 70_000 + "{}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_repair_library_never_sees_hostile_texts(text, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr("json_repair.loads", lambda text, **_: seen.append(text))
    assert reason(text) in ("unparsable", "empty")
    assert seen == []


def test_hostile_texts_end():
    script = (
        "from tests.core.merging.test_replies import *\n"
        "for text in [*HOSTILE, '{\"instruction\": \"' + '\"' * 7000 + '\"}', '{\"a\": ' + '[\"' * 3500 + '\"}']:\n"
        "    assert reason(text) in ('unparsable', 'empty')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


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
