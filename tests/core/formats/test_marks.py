"""Reasoning traces and tool calls that stand in a text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.marks import holds_reasoning, holds_tool_call

TRACES = (
    "<think>\nHm.\n</think>\n\nSo.",
    "Hm</think>So.",
    "Hm.\n</think>\n\nSo.",  # templates of DeepSeek's kind open the trace in the prompt
    "<Think> Hm </Think> So.",
    "< think >Hm</ think >So.",
    "<think/>So.",
    '<think budget="10">Hm</think>So.',
    "<thinking>Hm</thinking>So.",
    "<thought>Hm</thought>So.",
    "<reasoning>Hm</reasoning><answer>So.</answer>",
    "<reflection>Hm</reflection>So.",
    "<scratchpad>Hm</scratchpad>So.",
    "<seed:think>Hm</seed:think>So.",
    "<antThinking>Hm</antThinking>So.",
    "<|begin_of_thought|>Hm<|end_of_thought|><|begin_of_solution|>So.<|end_of_solution|>",
    "<|START_THINKING|>Hm<|END_THINKING|>So.",
    "<｜think｜>Hm<｜/think｜>So.",
    "◁think▷Hm◁/think▷So.",
    "[THINK]Hm[/THINK]So.",
    "<|channel|>analysis<|message|>Hm<|end|><|channel|>final<|message|>So.",
    "<|channel>thought\nHm<channel|>So.",
    "<my_thoughts>Hm</my_thoughts>So.",
    "<|thinking_start|>Hm<|thinking_end|>So.",
    "<scratch_pad>Hm</scratch_pad>So.",
    "<analysis>Hm</analysis>So.",
    "<innerThought>Hm</innerThought>So.",
    "[BEGIN_OF_THOUGHT]Hm[END_OF_THOUGHT]So.",
    "&lt;think&gt;Hm&lt;/think&gt;So.",
    "```thinking\nHm\n```\nSo.",
    "<unused94>thought\nHm<unused95>So.",
)
CALLS = (
    "f()</tool_call>",
    "<end_of_tool_use/>",
    '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>',
    "<tool_call>f\n<arg_key>x</arg_key>\n<arg_value>1</arg_value>\n</tool_call>",
    "<tool_response>\n42\n</tool_response>",
    "You have tools.\n<tools>\n[]\n</tools>",
    "<function=f><parameter=x>1</parameter></function>",
    '<functioncall> {"name": "f", "arguments": \'{"x": 1}\'}',
    '<function_calls><invoke name="f"><parameter name="x">1</parameter></invoke></function_calls>',
    "<start_function_call>call:f{x:1}<end_function_call>",
    '<|tool_call|>[{"name": "f", "arguments": {}}]<|/tool_call|>',
    "<|python_tag|>f.call(x=1)",
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f",
    "<|tool_calls_section_begin|>",
    "<minimax:tool_call>",
    '[TOOL_CALLS] [{"name": "f", "arguments": {}}]',
    "[AVAILABLE_TOOLS] [] [/AVAILABLE_TOOLS]",
    '[f(x="basil")]',
    "Let me look.\n[f(x=1), g.h()]",
    "[f({x: 1})]",
    "[f(x=1),\n g(y=2)]",
    "Sure: [f(x='y')]",
    "[f(x=1)] [g(y=2)]",
    "{'name': 'f', 'arguments': {'x': 1}}",
    '{"arguments": {"a": {"b": 1}}, "name": "f"}',
    '{"function_name": "f", "args": {}}',
    '{"id": 1, "name": "f", "description": "x", "parameters": {"type": "object"}}',
    "✿FUNCTION✿: f\n✿ARGS✿: {}",
    "**Action:** f\n**Action Input:** {}",
    '{"name": "f", "arguments": {"x": 1}}',
    '[{"name": "f", "parameters": {"x": 1}}]',
    '```json\n{"tool": "f", "tool_input": {"x": 1}}\n```',
    '{"action": "f", "action_input": "1"}',
    '{"arguments": {"x": 1}, "name": "f"}',
    'Tools: [{"type": "function", "function": {"name": "f"}}]',
    "Thought: I look.\nAction: search\nAction Input: basil\nObservation: water",
    "FUNCTION RESPONSE: 42",
    "```tool_code\nprint(f())\n```",
)
PLAIN = (
    "I think so, and so does the thinker.",
    "Use a <b>bold</b> tag, a <thead> and a <functional> one.",
    "x < think and y > think",
    "A List<Function> and [1, 2](3)",
    "A List<Thinker> and a Map<Toolbox> of <functionality>.",
    "The list [1, 2, 3] and the call f(x).",
    "[f(x) for x in range(3)]",
    "[link(s)](http://example.org)",
    "```python\n[f(1), f(2)]\n```",
    "[Thinking about it] is a habit.",
    '{"name": "Ann", "age": 3}',
    '{"name": "Ann", "parameters_of_life": {}}',
    "Action: run. Then rest.",
    "Every action has an input and a reaction.",
    "",
)


@pytest.mark.parametrize("text", TRACES)
def test_a_reasoning_trace_in_a_text_is_seen(text):
    assert holds_reasoning(text)


@pytest.mark.parametrize("text", CALLS)
def test_a_tool_call_in_a_text_is_seen(text):
    assert holds_tool_call(text)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_texts_are_taken_for_neither(text):
    assert not holds_reasoning(text)
    assert not holds_tool_call(text)


def rows_with(text):
    """Rows of every layout that hold a text in every place where one can stand."""
    for question, answer, system in ((text, "b", "S"), ("a", text, "S"), ("a", "b", text)):
        yield {"instruction": question, "input": "", "output": answer, "system": system}
        yield {"instruction": "a", "input": question, "output": answer, "system": system}
        yield {"query": question, "response": answer, "system": system}
        said = (("system", system), ("user", question), ("assistant", answer))
        yield {"messages": [{"role": who, "content": what} for who, what in said]}
        yield {"messages": [{"role": who, "content": [{"type": "text", "text": what}]} for who, what in said]}
        yield {"conversations": [{"from": who, "value": what} for who, what in said[1:]], "system": system}
        yield {"prompt": question, "completion": answer, "system": system}
        chat = [{"role": who, "content": what} for who, what in said]
        yield {"prompt": chat[:2], "completion": chat[2:]}


@pytest.mark.parametrize(("text", "problem"), [*((text, "reasoning") for text in TRACES), (CALLS[0], "more_than_text")])
def test_no_layout_lets_such_a_row_be_merged(text, problem):
    for row in rows_with(text):
        layout = resolve_format("auto", list(row))
        assert layout.read(row).problem == problem, row


@pytest.mark.parametrize("text", [text for text in PLAIN if text])
def test_no_layout_minds_plain_texts(text):
    for row in rows_with(text):
        assert resolve_format("auto", list(row)).read(row).problem is None


@given(st.text(alphabet="<>[]{}()|｜/\"':,`=\n\t thinktoolcallActionfx", max_size=200))
def test_no_text_makes_it_raise(text):
    holds_reasoning(text)
    holds_tool_call(text)


@pytest.mark.parametrize(
    "part", ["<", "< ", "[", "[f(x=", "<tool ", "<|tool", '"name": "', "```\n", "Action:\n", "[f(x=1),\n"]
)
def test_long_texts_of_one_mark_take_a_bounded_time(part):
    # A pattern that looks again from every mark to the end takes minutes here.
    text = part * (200_000 // len(part))
    started = time.process_time()
    holds_reasoning(text)
    holds_tool_call(text)
    assert time.process_time() - started < 20
