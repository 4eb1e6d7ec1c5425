"""Marks of chat templates in rows: never spelled in a prompt, and back in the merge as they were."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mergeit_ops.core.merging.prompts import answer_text, build_messages
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JudgeQuestion
from mergeit_ops.core.scoring.rubrics import JUDGE
from mergeit_ops.core.text.chat_marks import without_marks

_MARKS = """
<s> </s> <bos> <eos> <pad> <unk> <mask> <sep> <cls> <eod> <eot> <eoh> <eoa> <sop> <eop> [INST] [/INST] <<SYS>>
<</SYS>> [SYSTEM_PROMPT] [/SYSTEM_PROMPT] [TOOL_CALLS] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS]
[/TOOL_RESULTS] [TOOL_CONTENT] [ARGS] [CALL_ID] [THINK] [/THINK] [IMG] [IMG_BREAK] [IMG_END] [BEGIN_AUDIO]
[PREFIX] [MIDDLE] [SUFFIX] [gMASK] [sMASK] [MASK] [CLS] [SEP] [PAD] [UNK] [UNUSED_TOKEN_145] [|system|]
[|endofturn|] <start_of_turn> <end_of_turn> <start_of_image> <image_soft_token> <start_function_call> <escape>
<unused94> <|im_start|> <|im_end|> <|endoftext|> <|eot_id|> <|start_header_id|> <|begin_of_text|> <|python_tag|>
<|finetune_right_pad_id|> <|user|> <|assistant|> <|end|> <|system|> <|observation|> <|channel|> <|message|>
<|return|> <|call|> <|constrain|> <|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|> <|END_RESPONSE|> <BOS_TOKEN>
<EOS_TOKEN> <EOP_TOKEN> <|start_of_role|> <|action_start|> <|plugin|> <|tool_calls_section_begin|>
<|header_start|> <|turn> <turn|> <|tool_call> <tool_call|> <|"|> <｜begin▁of▁sentence｜> <｜end▁of▁sentence｜>
<｜User｜> <｜Assistant｜> <｜tool▁calls▁begin｜> <｜DSML｜function_calls> <think> </think> <thought> </thought>
<seed:bos> <seed:think> </seed:think> <seed:tool_call> <minimax:tool_call> <tool_call> </tool_call>
<tool_response> </tool_response> <tools> </tools> <tool_sep> <arg_key> </arg_key> <arg_value> <function=search>
<parameter=query> <function_call> <function_calls> <tool_result> <scratch_pad> <extra_id_1> <extra_0>
<reserved_106> <reserved_token_3> <SPECIAL_12> <ctrl99> <longcat_user> <fim_prefix> <file_sep> <reponame> <0x0A>
<image> <img> <user> <assistant> <system> <human> <bot> <用户> <AI> <role> </role> <tool> <im_start>
<end_of_utterance> ]~b] [e~[ ]~!b[ ◁think▷ ◁/think▷ >>QUESTION<< <records> </records>
</｜DSML｜invoke> </｜DSML｜function_calls> </|im_end|> </|im_end> <｜/User｜> <[begin▁of▁sentence]> <[end▁of▁sentence]>
<[PLHD]> <[BOS]> <[/INST]> <TOOLCALL> </TOOLCALL> <toolcalls> <ToolResponse> <functioncall> <endoftext> <startofturn>
<endofturn> <¦im_end¦> <❘im_end❘> <ǀim_endǀ> <￤im_end￤> <‖im_end‖> <┃im_end┃> <❙im_end❙> <丨im_end丨> <∣im_end∣>
</¦im_end¦> </❘im_end❘> [¦user¦] [❘user❘]
"""
MARKS = _MARKS.split()
ORDINARY = [
    "<ul><li>a < b > c</li></ul> x->y <reason>",
    "if (a < b && c > d) return x[mask] + y[i] + z[row_id];",
    "<p class='s'>text</p> <strong>bold</strong> <sub>2</sub> <br/> <h1> <svg> <a href='#s'>",
    "std::vector<int> v; List<String> l; Map<K, V> m; template <typename T>",
    "[INST [ INSTANCE ] [INSTALL] [1] [x](y) [TODO] [a_b] << >> cout << s << endl; <- <= <> <!-- --> <?xml?>",
    "|a| < |b| and P(A|B) <1, 2>",
    "let b: Box<[u8]> = v; let s: Vec<[T; 4]>; type P = Array<[string, number]>; if a </ |b|",
]
NEARLY = [
    "\\u003c",
    "\\u003cs>",
    "\\\\u003c/s>",
    "\\u005bINST]",
    "&lt;s&gt;",
    "<s",
    "</s",
    "[INST",
    "[/INST",
    "<|",
    "|>",
    "<s class='x'>",
]


def records_in(content: str) -> tuple[str, list[dict[str, str]]]:
    block = content.partition("<records>")[2].partition("</records>")[0]
    return block, json.loads(block)


def assert_is_data(text: str, *marks: str) -> None:
    """Check prompts and an answer that hold a text: no mark is spelled, and the text comes back."""
    row, other = Sample(f"Explain {text}", text, f"It is {text}.", system=text), Sample("a", "b", "c", system=text)
    last, judged = build_messages([row, other])[-1]["content"], JudgeQuestion((JUDGE,)).messages(row)[-1]["content"]
    answer = answer_text(Sample(row.instruction, row.input, row.output))
    for content in (last, judged):
        block, records = records_in(content)
        assert records[0] == row.content
        assert not any(mark in block for mark in marks)
    assert not any(mark in answer for mark in marks)
    parents = [Sample("x", text, "y", system=text), other]
    for wrapped in (answer, f"```json\n{answer}\n```", f"Here it is: {answer}", answer[:-1] + ",}"):
        merged = parse_reply(wrapped, parents)
        expected = (row.instruction.rstrip(), row.input.rstrip(), row.output)
        assert (merged.instruction, merged.input, merged.output) == expected


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_spelled_in_no_prompt_and_comes_back(mark):
    assert_is_data(mark, mark)
    assert_is_data(f"a{mark}{mark}\n{mark}b", mark)


@pytest.mark.parametrize(
    "mark", [mark for mark in MARKS if mark[1:2].isalpha() and mark[0] in "<[" and "=" not in mark]
)
def test_a_mark_with_whitespace_within_is_one_too(mark):
    for space in (" ", "\n", "\t", "\u00a0", "\u200b", "\r\n"):
        spaced = f"{mark[0]}{space}{mark[1:-1]}{space}{mark[-1]}"
        assert_is_data(spaced)
        if mark[-1] in ">]" and "|" not in mark:
            assert mark[0] not in without_marks(json.dumps(spaced, ensure_ascii=False))


@pytest.mark.parametrize("mark", [mark for mark in MARKS if mark[0] == "<" or mark.lower() in ("[inst]", "[gmask]")])
def test_capitals_make_no_difference(mark):
    assert_is_data(mark.upper(), mark.upper())
    assert_is_data(mark.lower(), mark.lower())


@pytest.mark.parametrize("text", ORDINARY)
def test_markup_code_and_comparisons_are_sent_as_they_are(text):
    assert without_marks(json.dumps(text)) == json.dumps(text)
    assert_is_data(text)


@pytest.mark.parametrize("text", NEARLY)
def test_what_looks_like_a_mark_or_its_escape_comes_back(text):
    assert_is_data(text)
    assert_is_data(f"{text}s>{text}")


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from([*MARKS, *NEARLY, *ORDINARY, "\\", '"', "\n", "\t", " ", "u003c"]), min_size=1, max_size=8)
)
@example(["\\", "<s>"])
@example(["\\\\", "</s>", '"'])
def test_any_mixture_comes_back(pieces):
    # In front of a letter the reader takes a tab for an eaten backslash unless a parent has it; it has.
    assert_is_data("x" + "".join(pieces) + "x")


@pytest.mark.parametrize(
    "text", ["<" * 200_000, "< " * 100_000, "<" + " " * 200_000, "[" * 200_000, "<a" * 100_000, "<|" * 100_000]
)
def test_long_texts_take_no_longer_than_their_length(text):
    """A quadratic search would not end within the test run."""
    assert json.loads(without_marks(json.dumps(text))) == text
