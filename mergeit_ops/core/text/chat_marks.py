"""Escape the marks that chat templates and tokenizers put between turns, so that rows may contain them harmlessly."""

from __future__ import annotations

import re

__all__ = ["without_marks"]

# In JSON, a line break or a tab in a text is a backslash and a letter.
_SPACE = r"(?:[\s\u00ad\u200b-\u200f\u2060\ufeff]|\\[bfnrt]|\\u00[01][0-9a-f])*"
# A bar, and characters that look like one.
_WIDE_BAR = r"[\u00a6\u01c0\u05c0\u2016\u23d0\u2503\u2551\u2758-\u275a\u4e28\ufe31\uff5c\uffe4\uffe8]"
_BAR = rf"(?:[|\u2502\u2223]|{_WIDE_BAR})"
_WORDS = (
    # Beginning and end of a text, padding and the like.
    r"s|[beu]o[sdhamptu]|sop|eop|pad|unk|mask|sep|cls|eot|eom|eoc|nl|"
    # Speakers.
    r"sys|inst|user|human|assistant|system|bot|ai|用户|role|channel|turn|observation|escape|"
    # Thoughts and tools.
    r"think|thinking|thought|thoughts|reasoning|tool|tools|function|functions|invoke|parameter|"
    r"(?:tool|function)(?:calls?|responses?|results?|outputs?|list|sep)|"
    # Written as one word.
    r"(?:begin|start|end)of[a-z]{1,16}|im(?:start|end)|"
    # Content other than text, and the files of a repository.
    r"img|image|images|video|audio|speech|filename|reponame|"
    # Reserved tokens and bytes.
    r"(?:unused|reserved|special|extra|ctrl|control|dummy|tokens?)[_ -]?\d*|0x[0-9a-f]{2}"
)
# A tag without attributes whose name has an underscore or a colon: tool_call, start_of_turn, extra_id_1, seed:bos. HTML
# has no such tags.
_COMPOUND = r"[^\W_]{0,64}[_:\u2581][\w:.\u2581 -]{0,64}"
# Other words in such brackets are types of Rust and TypeScript.
_BRACKETED = (
    rf"[\[\uff3b]{_SPACE}(?:/{_SPACE})?"
    rf"(?:plhd|placeholder|{_WORDS}|{_COMPOUND}|(?-i:[A-Z]{{3,16}})){_SPACE}[\]\uff3d]"
)
_ANGLE = rf"""
    (?:{_SPACE}/)*{_SPACE}records                           # the borders of our own block
  | {_BAR}                                                  # <|im_end|>, <｜User｜>
  | {_SPACE}(?:/{_SPACE})?{_WIDE_BAR}                       # </｜DSML｜invoke>
  | /{_BAR}[^\s<>|]
  | {_SPACE}(?:/{_SPACE})?{_BAR}[^<>|\n]{{1,64}}{_BAR}{_SPACE}[>\uff1e]
  | [^\s<>|]{{1,64}}{_BAR}[>\uff1e]                         # <turn|>
  | {_SPACE}(?:/{_SPACE})?(?:{_WORDS}|{_COMPOUND}){_SPACE}[>\uff1e]
  | {_SPACE}(?:/{_SPACE})?{_BRACKETED}{_SPACE}[>\uff1e]     # <[end▁of▁sentence]>
  | (?:function|parameter|tool|invoke)=                     # <function=search>
  | [<\uff1c]{_SPACE}(?:/{_SPACE})?sys{_SPACE}[>\uff1e]     # <<SYS>>
"""
_SQUARE_WORDS = (
    r"inst|think|[gs]mask|system_prompt|available_tools|tool_calls|tool_results?|tool_content|call_id|model_settings|"
    r"img_break|img_end|begin_audio|unused_token_\d+|unused\d+|control_\d+"
)
# Other words are marks only in capitals, because x[mask] and a[prefix] are code.
_SQUARE_CAPITALS = (
    r"(?-i:MASK|PREFIX|MIDDLE|SUFFIX|ARGS|IMG|AUDIO|TRANSCRIBE|CLS|SEP|PAD|UNK|BOS|EOS|[A-Z]+(?:_[A-Z\d]+)+)"
)
_SQUARE = rf"""
    {_SPACE}(?:/{_SPACE})?(?:{_SQUARE_WORDS}|{_SQUARE_CAPITALS}){_SPACE}[\]\uff3d]
  | {_BAR}[^\]|\n]{{1,64}}{_BAR}\]                          # [|user|]
  | e~\[
"""
_OPENING = re.compile(
    rf"""
    [<\uff1c\ufe64](?={_ANGLE})
  | [\[\uff3b](?={_SQUARE})
  | \](?=~!?b[\[\]])                                        # ]~b]user
  | \u25c1(?=/?think\u25b7)                                 # ◁think▷
  | >(?=>[A-Z]+<<)                                          # >>QUESTION<<
""",
    re.IGNORECASE | re.VERBOSE,
)


def without_marks(json_text: str) -> str:
    r"""Return equivalent JSON without marks of a chat template and without a border of the block of records.

    A tokenizer may read such a mark as the end of a turn. The first character of a mark becomes its escape, such as
    `\u003c`, and a JSON parser restores it. A text that contains this escape literally has one more backslash in JSON.
    Other markup is not escaped, because escapes cost tokens and models copy them.

    :param json_text: JSON with marks only inside strings.
    """
    return _OPENING.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)
