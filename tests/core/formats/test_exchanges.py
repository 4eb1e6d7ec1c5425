"""Rows with reasoning traces: the parts, the answers alone, the responses whole; the same in every layout."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.exchanges import answers_only, whole_responses
from mergeit_ops.core.sample import Exchange, Round, Sample

ASKED, TRACE, ANSWER = "How do I keep basil?", "Basil bruises in the cold.", "In a glass of water."
INLINE = f"<think>\n{TRACE}\n</think>\n\n{ANSWER}"


def read(row):
    return resolve_format("auto", list(row)).read(row)


def chat(*turns):
    return {"messages": [{"role": "user", "content": ASKED}, *turns]}


def says(content, **fields):
    return {"role": "assistant", "content": content, **fields}


LAYOUTS = {
    "alpaca, in the text": {"instruction": ASKED, "input": "", "output": INLINE},
    "alpaca, in a column": {"instruction": ASKED, "output": ANSWER, "cot": TRACE},
    "query and response": {"query": ASKED, "response": INLINE},
    "messages, in the text": chat(says(INLINE)),
    "messages, reasoning_content": chat(says(ANSWER, reasoning_content=TRACE)),
    "messages, reasoning": chat(says(ANSWER, reasoning=TRACE)),
    "messages, thinking": chat(says(ANSWER, thinking=TRACE)),
    "messages, the same trace in two fields": chat(says(ANSWER, reasoning=TRACE, reasoning_content=TRACE)),
    "messages, details": chat(says(ANSWER, reasoning_details=[{"type": "reasoning.text", "text": TRACE}])),
    "messages, parts": chat(says([{"type": "thinking", "thinking": TRACE}, {"type": "text", "text": ANSWER}])),
    "messages, a column": {**chat(says(ANSWER)), "reasoning": TRACE},
    "messages, channels": chat(says(TRACE, channel="analysis"), says(ANSWER, channel="final")),
    "messages, Harmony": chat(
        says(f"<|channel|>analysis<|message|>{TRACE}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}")
    ),
    "sharegpt": {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": INLINE}]},
    "prompt and completion": {"prompt": ASKED, "completion": INLINE},
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_trace_and_answer_are_told_apart_in_every_layout(layout):
    reading = read(LAYOUTS[layout])
    assert reading.problem == "reasoning"
    (exchange,) = reading.sample.exchanges
    assert exchange[:3] == (ASKED, TRACE, ANSWER)
    assert exchange.complete
    assert answers_only(reading.sample) == Sample(ASKED, "", ANSWER)
    response = whole_responses(reading.sample)
    assert response.exchanges == ()
    assert response.output == (INLINE if "Harmony" not in layout else LAYOUTS[layout]["messages"][1]["content"])


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": ASKED, "output": ANSWER},
        {"instruction": "What does <think> do?", "output": ANSWER},
        chat(says(ANSWER, thinking="on")),
        {**chat(says(ANSWER)), "reasoning": "off"},
    ],
)
def test_a_row_without_a_trace_stays_as_it_is(row):
    sample = read(row).sample
    assert sample.exchanges == ()
    assert answers_only(sample) is sample
    assert whole_responses(sample) is sample


def test_the_input_of_a_row_stays_apart():
    row = {"instruction": "Translate.", "input": "Guten Tag", "output": "<think>Hm.</think>Good day"}
    assert answers_only(read(row).sample) == Sample("Translate.", "Guten Tag", "Good day")


def test_each_turn_has_its_own_trace():
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            says("<think>1</think>A"),
            {"role": "user", "content": "b"},
            says("B", reasoning_content="2"),
            {"role": "user", "content": "c"},
            says("C"),
        ]
    }
    sample = read(row).sample
    assert [each[:3] for each in sample.exchanges] == [("a", "1", "A"), ("b", "2", "B"), ("c", None, "C")]
    answers = answers_only(sample)
    assert answers == Sample("a\nb\nc", "", "A\nB\nC", "Be brief.", (Round("a", "A"), Round("b", "B"), Round("c", "C")))
    responses = whole_responses(sample).rounds
    assert responses == (
        Round("a", "<think>1</think>A"),
        Round("b", "<think>\n2\n</think>\n\nB"),
        Round("c", "C"),
    )


def test_the_history_of_a_row_may_have_traces():
    row = {"instruction": "b", "output": "B", "history": [["a", "<think>1</think>A"]]}
    assert answers_only(read(row).sample).rounds == (Round("a", "A"), Round("b", "B"))


def test_a_trace_before_a_tool_call_belongs_to_no_answer():
    row = chat(
        says(None, reasoning_content="I look it up.", tool_calls=[{"id": "1", "function": {"name": "f"}}]),
        {"role": "tool", "tool_call_id": "1", "content": "water"},
        says(ANSWER, reasoning_content="It says water."),
    )
    sample = read(row).sample
    assert sample.exchanges == (
        Exchange(ASKED, "I look it up.", "", "<think>\nI look it up.\n</think>", True),
        Exchange("water", "It says water.", ANSWER, f"<think>\nIt says water.\n</think>\n\n{ANSWER}", True),
    )
    assert answers_only(sample).rounds == (Round(f"{ASKED}\nwater", ANSWER),)


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": ASKED, "output": "<think>\nHm, so"},
        {"instruction": ASKED, "output": "<think>Hm.</think>"},
        {"instruction": ASKED, "output": "", "thinking": TRACE},
        chat(says(TRACE, channel="analysis")),
        chat(says("", reasoning_content=TRACE), {"role": "user", "content": "And?"}, says("So.")),
    ],
)
def test_a_trace_without_an_end_or_an_answer_is_not_complete(row):
    assert not read(row).sample.exchanges[0].complete


def test_odd_values_in_the_fields_of_traces_raise_nothing():
    deep: list = []
    for _ in range(50):
        deep = [deep, "x"]
    for value in (b"x", 7, [None, 3, {"text": None}], {"summary": [{"text": "Hm."}]}, deep, [{"data": "gAAA"}]):
        read(chat(says(ANSWER, reasoning_content=value)))
        read({"instruction": ASKED, "output": ANSWER, "thinking": value})
    assert read(chat(says(ANSWER, reasoning={"summary": [{"text": "Hm."}]}))).sample.exchanges[0].trace == "Hm."
