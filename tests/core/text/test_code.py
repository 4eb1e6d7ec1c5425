"""Telling lines of code from lines of prose."""

import pytest

from mergeit_ops.core.text.code import code_line_share

PYTHON = "def area(width, height):\n    size = width * height\n    return size\n\nprint(area(2, 3))"
PROSE = (
    "Rinse the rice first. Then boil it:\nuse one cup of water, and wait (ten minutes).\n\n1. Cover the pot.\n2. Rest."
)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        (" \n\n", 0.0),
        (PROSE, 0.0),
        ("Der Reis soll ruhen.\nDann ist er fertig.", 0.0),
        ("```python\nany words at all\n```", 1.0),
        ("A loop does it:\n```\nfor x in y:\n    f(x)\n```\nIt ends there.", 0.5),
        ("SELECT name FROM people;", 1.0),
        ("<table>\n  <tr>\n    <td>one</td>\n  </tr>\n</table>", 1.0),
        ("int main() {\n  return 0;\n}", 1.0),
    ],
)
def test_lines_of_code_are_told_by_their_form(text, share):
    assert code_line_share(text) == share


def test_most_lines_of_a_program_count():
    assert code_line_share(PYTHON) > 0.5


@pytest.mark.parametrize("text", ["a." * 100_000, "(" * 50_000, "x(" + "()" * 50_000, "= " * 50_000, "a,a" * 30_000])
def test_long_lines_take_no_time(text):
    assert 0 <= code_line_share(text + "\n" + text) <= 1
