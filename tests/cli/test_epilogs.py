"""The help of every command ends with an example that works, and says what its exit codes mean."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from mergeit_ops import cli
from mergeit_ops.cli.epilogs import EXIT_CODES, INTERRUPTED, PROGRAM
from mergeit_ops.core.columns import META
from tests.conftest import REPOSITORY
from tests.report.exports import merged, original, write_export, write_records

COMMANDS = [
    *([command.NAME] for command in cli._COMMANDS),
    *(["batch", name] for name in ("export", "import", "forget")),
]


def help_of(capsys, *command):
    with pytest.raises(SystemExit) as ended:
        cli.main([*command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", [[], *COMMANDS], ids=" ".join)
def test_help_says_exit_codes_and_ends_with_an_example(capsys, command):
    text = help_of(capsys, *command)
    codes, example = text.split("Exit code: ")[1].split("\n\nExample:\n")
    assert re.findall(r"(\d+): ", codes) == ["0", "1", "2", "130"]
    lines = example.rstrip().splitlines()
    assert lines[-1].startswith(" ".join(["  " + PROGRAM, *command]))
    # The arguments are those of the command: nothing is run, as standard input of the parser is all that it needs.
    arguments = shlex.split(lines[-1].strip())[3:]
    monkey = pytest.MonkeyPatch()
    for module in cli._COMMANDS:
        monkey.setattr(module, "run", lambda options: 0)
    try:
        assert cli.main(arguments) == 0
    finally:
        monkey.undo()
    for name in re.findall(r"recipes/[\w/.]+", example):
        assert (REPOSITORY / name).is_file()


def test_without_a_command_the_help_lists_the_commands(capsys):
    assert cli.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    for command in cli._COMMANDS:
        assert re.search(rf"^ +{command.NAME}\s", printed.err, re.MULTILINE)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "recipes").symlink_to(REPOSITORY / "recipes")
    rows = [merged(0, "a"), merged(1, "b"), original(0, "x")]
    for row in rows:
        row[META]["row_id"] = row[META]["row_id"] or "x"
    write_export(tmp_path / "outputs" / "quickstart" / "merged.jsonl", rows)
    write_records(tmp_path / "outputs" / "quickstart" / "w", {"operator": "llm_pair_merger_mapper"})
    return tmp_path


@pytest.mark.parametrize("name", ["cache", "check", "show", "win-score"])
def test_examples_that_take_no_time_work(capsys, clone, name):
    lines = help_of(capsys, name).split("Example:\n")[1].splitlines()
    script = "\n".join(line.strip().replace("python ", f"{sys.executable} ", 1) for line in lines)
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_is_1_wrong_arguments_are_2_and_an_interrupt_is_130(monkeypatch, capsys, tmp_path):
    assert cli.main(["show", str(tmp_path / "none.jsonl")]) == 1
    assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit) as ended:
        cli.main(["show"])
    assert ended.value.code == 2

    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.show, "run", interrupted)
    assert cli.main(["show", "x"]) == INTERRUPTED == 130
    for code in (0, 1, 2, INTERRUPTED):
        assert f"{code}: " in EXIT_CODES
