"""The share of program code in a text, by the form of its lines."""

from __future__ import annotations

import re

__all__ = ["code_line_share"]

_FENCE = re.compile(r"\s*(?:```|~~~)")
_CODE_LINE = re.compile(
    r"""
    .*[;{}]\s*$                                                         # C and its like
    | \s*</?[a-zA-Z!][^>]*>                                             # HTML
    | \s*(?://|/\*|\#!|\#include\b|@\w+\s*(?:\(.*\))?$|>>>\s)
    | \s*(?:import\s+[\w.{*]|from\s+[\w.]+\s+import\s)
    | \s*(?:def|class|for|if|elif|while|with|try|except|else)\b.*:\s*$  # Python
    | \s*(?:return|print|raise|const|let|var|function|public|private|static|void)\b.*[(=;\[{].*
    | \s*(?:SELECT|INSERT\s+INTO|UPDATE|DELETE\s+FROM|CREATE\s+TABLE)\b
    | \s*[\w.\[\]'"]+(?:\s*,\s*[\w.]+)*\s*(?:[-+*/|&]|<|>)?=(?!=)\s*\S.*
    | \s*[\w.]+\([^()]*(?:\([^()]*\)[^()]*)*\)\s*$                      # a call
    """,
    re.VERBOSE,
)


def code_line_share(text: str) -> float:
    """Return the share of non-blank lines that look like code; every line in a fenced block counts.

    It depends only on the form, so it is a statistic for many texts; single lines may be misjudged.

    :param text: any text.
    :return: from 0 to 1; 0 for a blank text.
    """
    code = lines = 0
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        elif line.strip():
            lines += 1
            code += fenced or _CODE_LINE.match(line[:_LONGEST]) is not None
    return code / lines if lines else 0.0


_LONGEST = 400  # characters to check; longer lines are prose
