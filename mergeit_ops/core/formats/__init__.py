"""The column layouts of instruction data: read a row as a `Sample`, and write a merged `Sample` back.

A merged row is written in the layout of its parents.
"""

from mergeit_ops.core.formats.advice import likely_keys
from mergeit_ops.core.formats.base import FORMAT_NAMES, FormatName, Problem, Reading, SampleFormat
from mergeit_ops.core.formats.detection import CHAT_COLUMNS, FORMATS_IN_WORDS, resolve_format
from mergeit_ops.core.formats.turns import ROLE_FIELDS

__all__ = [
    "CHAT_COLUMNS",
    "FORMATS_IN_WORDS",
    "FORMAT_NAMES",
    "ROLE_FIELDS",
    "FormatName",
    "Problem",
    "Reading",
    "SampleFormat",
    "likely_keys",
    "resolve_format",
]
