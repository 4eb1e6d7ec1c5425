"""What commands print: text of rows, models and servers that cannot act, in any encoding of the terminal."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mergeit_ops
from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.core.text.characters import printable
from mergeit_ops.errors import DatasetError, MergeItError
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.journal import Journal
from tests.thorough import every

ENCODINGS = ["utf-8", "ascii", "latin-1", "cp1252", "cp437", "utf-16", "gb18030", "shift_jis"]
# ESC sequences, OSC 52 (the clipboard), C1, overrides of the direction, CR, BS, NUL, DEL, half a surrogate pair.
HOSTILE = "a\x1b[2J\x1b]52;c;cm0gLXJm\x07b\x9b31mc\x9d0;t\x9cd\u202ee\u2066f\u2069g\u2028h"
HOSTILE += "\x85i\rj\x08k\x00l\x7fm\ufeffn\ud800o 漢 é"
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# Zero-width spaces and joiners of words, marks of direction, invisible operators, annotations, tags, variants.
HIDING = (
    "\u200b\u200e\u200f\u061c\u2060\u2063\u2065\u206a\u206f\ufff9\ufffa\ufffb\U0001d173\U000e0001\U000e0041\U000e007f"
)
HIDING += "\U000e0100\U000e01ef\U000e0200"
any_text = st.text(st.characters(exclude_categories=()))


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")


def written(to: io.TextIOWrapper) -> str:
    to.flush()
    return to.buffer.getvalue().decode(to.encoding)


@given(any_text, st.sampled_from(ENCODINGS))
def test_no_text_acts_or_fails_in_any_encoding(text, encoding):
    terminal = stream(encoding)
    say(text, file=terminal)
    assert not ACTING.search(written(terminal).removeprefix("\ufeff"))


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_what_can_be_shown_is_shown_as_it_is(text):
    assert printable(f"{text}\n\t{text}\r\n") == f"{text}\n\t{text}\n"


def test_what_acts_is_written_out():
    assert printable("a\x1b[1m\x9b\u202e\rb\x08\x00\ud83d") == r"a\x1b[1m\x9b\u202e\rb\x08\x00\ud83d"
    for character in HIDING:
        assert printable(f"a{character}b") == f"a{character.encode('unicode_escape').decode()}b"
        assert json.loads(as_json([character])) == [character]
        assert character not in as_json([character])
    assert printable("é漢😀", "ascii") == r"\xe9\u6f22\U0001f600"
    assert printable("é漢", "latin-1") == r"é\u6f22"


@pytest.mark.parametrize(
    "text", ["👩\u200d💻 ❤\ufe0f", "می\u200cخواهم", "क्\u200dष", "soft\u00adhyphen", "葛\U000e0100", "\u06dd"]
)
def test_joiners_of_scripts_and_emoji_stay(text):
    assert printable(text) == text


@given(st.dictionaries(any_text, st.lists(any_text)), st.sampled_from(ENCODINGS), st.sampled_from([None, 2]))
def test_json_is_printed_so_that_it_says_the_same(value, encoding, indent):
    terminal = stream(encoding)
    say(as_json(value, terminal, indent), file=terminal)
    text = written(terminal).removeprefix("\ufeff")
    assert not ACTING.search(text)
    assert json.loads(text) == json.loads(json.dumps(value))


def test_errors_quote_rows_and_servers_harmlessly():
    for error in (DatasetError(f"Row {HOSTILE}"), CallFailedError(FailureKind.BAD_REQUEST, HOSTILE)):
        assert not ACTING.search(str(error))
    assert not ACTING.search(CallFailedError(FailureKind.BAD_REQUEST, HOSTILE).detail)
    assert str(MergeItError()) == ""


def test_nothing_else_prints():
    package = Path(mergeit_ops.__file__).parent
    for path in package.rglob("*.py"):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        prints = any(isinstance(function, ast.Name) and function.id == "print" for function in calls)
        assert prints == (path == package / "cli" / "terminal.py"), path


def merge_of_hostile_rows(folder: Path) -> Path:
    """Write an export with one merge whose texts, names and values all would act."""
    parent = json.dumps({"instruction": HOSTILE, "output": HOSTILE, HOSTILE: HOSTILE})
    meta = {
        "row_id": "a", "topic_id": 0, "merge_status": "merged", "merge_parents": [parent, parent],
        "merge_parent_ids": ["b", "c"], "merge_model": f"m{HOSTILE}", "merge_similarity": 0.9,
    }  # fmt: skip
    other = {"row_id": "d", "topic_id": 0, "merge_status": f"odd{HOSTILE}"}
    rows = [
        {"instruction": HOSTILE, "output": HOSTILE, HOSTILE: HOSTILE, "__dj__meta__": each} for each in (meta, other)
    ]
    export = folder / "out.jsonl"
    # As JSON escapes: UTF-8 has no form for half a surrogate pair.
    export.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    return export


def run_command(*arguments: object, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONIOENCODING": encoding, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mergeit_ops", *map(str, arguments)], capture_output=True, env=environment, check=False
    )


@pytest.mark.parametrize("encoding", every(2, ["ascii", "utf-8"]))
def test_the_commands_that_print_texts_print_hostile_ones(tmp_path, encoding):
    export = merge_of_hostile_rows(tmp_path)
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.put("key", HOSTILE.replace("\ud800", ""), model=f"m{HOSTILE}".replace("\ud800", ""))
    for arguments in (
        ["show", export],
        ["cache", tmp_path / "journal.sqlite", "--show", 3],
        ["verify", export, export],
        ["verify", export, export, "--rows", "-"],
        ["show", tmp_path / f"no{HOSTILE.replace(chr(0), '').replace(chr(0xD800), '')}"],
        ["cache", "--show", "\x1b[31m"],
    ):
        done = run_command(*arguments, encoding=encoding)
        for said in (done.stdout, done.stderr):
            assert not ACTING.search(said.decode(encoding)), (arguments, said)
            assert b"Traceback" not in said, said.decode(encoding)
        assert done.stdout or done.stderr
