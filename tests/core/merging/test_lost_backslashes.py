r"""Tabs that a model meant, told from backslashes that JSON consumed."""

import json
import time

import pytest

from mergeit_ops.core.merging.lost_backslashes import lost_backslashes


def is_lost(answer: str, *given: str) -> bool:
    """Read a JSON text as a model wrote it."""
    return lost_backslashes([json.loads(answer)], answer, given)


@pytest.mark.parametrize(
    "answer",
    [
        r'"Compute \frac{1}{2}."',
        r'"A \bar over x"',
        r'"Set $\theta = 3 \times 4$."',
        r'"Open C:\temp now."',
        r'"the angle \rho"',
        *(
            rf'"So:\n{line}"'
            for line in (
                r"\text{if } x > 0",
                r"\times 3",
                r"\theta = 1",
                r"\tan(x) = 1",
                r"\tan x = 1",
                r"\to \\infty",
                r"\to 0",
                r"\tau = $x^2$",
                r"\tan \theta",
                r"\tfrac{1}{2}",
                r"\tr(A^{2})",
                r"\to $B$ as $x$",
            )
        ),
    ],
)
def test_an_escape_that_stood_for_a_backslash_is_found(answer):
    assert is_lost(answer)


@pytest.mark.parametrize(
    "answer",
    [
        '""',
        r'"no escape at all"',
        r'"Compute \\frac{1}{2} and \\times."',
        r'"name\tage\nAnn\t7\nBob\t8"',
        r'"if x:\n\treturn 1"',
        r'"func f() {\n\tr := read()\n\tfmt.Println(r, \"\\n\")\n}"',
        r'"switch {\n\top := next()\n\text := filepath.Ext(name)\n\tag = 1\n\to.run()\n\tau += 2\n}"',
        r'"for:\n\t\tr = r ^ x\n\t\to = a[i]"',
        r'"One:\n\tan item to do\n\tan A\n"',
        r'"all:\n\tr=$1; echo $r"',
        r'"one line\r\nand the next"',
        r'"a quote \" and a slash \/"',
    ],
)
def test_an_escape_that_was_meant_is_left(answer):
    assert not is_lost(answer)


def test_what_a_parent_has_is_meant():
    assert is_lost(r'"x\theta"')
    assert not is_lost(r'"x\theta"', "a\theta")
    assert not is_lost(r'"\u000c page"', "\x0c page")
    assert is_lost(r'"say \tnow"', r"a command \tnow")
    assert not is_lost(r'"say \tnow"')


def test_nothing_is_lost_in_nothing():
    assert not lost_backslashes([], "", [])
    assert not lost_backslashes([""], "", [""])


def test_a_long_text_takes_no_time():
    answer = json.dumps("\t".join(["word"] * 50_000))
    started = time.process_time()
    assert not is_lost(answer)
    assert time.process_time() - started < 5
