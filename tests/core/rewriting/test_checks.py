"""What a rewritten text is refused for: each rule at its border, and what a row may have of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.rewriting.checks import WordLimits, check_instruction, check_text
from mergeit_ops.core.sample import Sample

FRUITS = Sample("Name three fruits.", "", "Apple, pear, plum.")
TREE = WordLimits(15, 100)
"""3 words, 12 more, 100 at most."""


def reason(new, old=FRUITS, limits=TREE):
    try:
        check_instruction(new, old, limits)
    except ReplyError as error:
        return str(error.reason), error.correction
    return None


def words(number):
    return " ".join(["Name", *["fruits"] * (number - 1)])


def test_the_golden_values_of_tree_instruct():
    """3 words become 15 to 100: 14 and 101 are refused, and the model is told its number and the two limits."""
    assert reason(words(15)) is None
    assert reason(words(100)) is None
    for number in (14, 101):
        code, correction = reason(words(number))
        assert code == "length"
        assert f"has {number} words, but it must have 15 to 100" in correction


def test_nothing_and_the_same_are_no_new_instruction():
    assert reason("  ") == ("empty", "")
    assert reason(" Name  three\nfruits. ", limits=WordLimits(1, 9))[0] == "echo"


@pytest.mark.parametrize(
    ("old", "new", "fits"),
    [
        ("Name three fruits.", "请列出三种水果,并说明它们的产地、季节以及最适合的储存方法。", False),
        ("列出三种水果。", "Name three fruits and say where each of them is from.", False),
        ("列出三种水果。", "请列出三种水果,并说明它们的产地和季节。", True),
        ("列出三种水果。", "三つの果物を挙げて、それぞれの産地を説明してください。", False),
        ("果物を三つ挙げてください。", "三つの果物を挙げて、それぞれの産地を説明してください。", True),
        ("Translate into Chinese: 早上好,今天天气很好。", "请把这句话翻译成中文,并解释每个词。", True),
        ("Назови три фрукта.", "Name three fruits and their seasons.", False),
        ("Nenne drei Früchte.", "Name three fruits and their seasons.", False),
        ("Nenne drei Früchte.", "Nenne drei Früchte und ihre Herkunft.", True),
        ("1 + 1 = ?", "请计算 1 + 1 + 1。", True),
        ("What is 1 + 1?", "1 + 1 = ?", True),
        ("Ответ: 3.14", "3.14", True),
        ("Give me a smile.", "😀 1", True),
    ],
)
def test_the_language_stays(old, new, fits):
    found = reason(new, Sample(old, "", "x"), WordLimits(1, 100))
    assert found is None if fits else found[0] == "language"


@pytest.mark.parametrize(
    ("new", "fits"),
    [
        ("See https://example.org/a.", True),
        ("See https://example.org/a, and then WWW.Example.COM!", True),
        ("See https://example.org/b.", False),
        ("See http://example.net", False),
        ("See www.other.com", False),
    ],
)
def test_a_web_address_must_be_one_of_the_row(new, fits):
    old = Sample("Sum up https://example.org/a", "and www.example.com", "x")
    found = reason(new, old, WordLimits(1, 100))
    assert found is None if fits else found[0] == "new_url"


@pytest.mark.parametrize(
    "leak",
    [
        "Using semantic parsing, name fruits",
        "Name the nodes of the tree and three fruits",
        "The rewritten instruction is: name fruits",
        "Original prompt: name fruits",
    ],
)
def test_words_about_the_procedure_are_refused_unless_the_row_has_them(leak):
    code, correction = reason(leak, limits=WordLimits(1, 100))
    assert code == "procedure"
    assert "It must read as if" in correction
    about_it = Sample("What is semantic parsing? Nodes of the tree, original prompt, rewritten instruction", "", "x")
    assert reason(leak, about_it, WordLimits(1, 100)) is None


def test_a_run_of_eight_words_of_the_rules_is_refused_unless_the_row_has_it():
    rules = "Correct the language and facts, and say what is unclear to its reader."
    leak = "Correct the language and facts, and say more."
    for short in ("Correct the language and facts, and say.", "Correct the language, and facts say what is unclear."):
        check_text(short, FRUITS, "instruction", rules)
    with pytest.raises(ReplyError, match="procedure") as refused:
        check_text(f"{leak} What?", FRUITS, "output", "So: correct THE language and facts and say more. No.")
    assert "repeats the rules" in refused.value.correction
    check_text(leak, Sample(f"Please: {leak}", "", "x"), "instruction", leak)


def test_a_response_is_no_instruction():
    """Eight words of the response, which the instruction and the input do not have."""
    row = Sample("Why is basil useful?", "", "Basil is useful because it keeps flies away from the kitchen.")
    assert reason("Basil is useful because it keeps flies away!", row, WordLimits(1, 99))[0] == "echo"
    assert reason("Basil is useful because it keeps flies. Why?", row, WordLimits(1, 99)) is None
    quoted = Sample("Go on: Basil is useful because it keeps flies away", "", row.output)
    assert reason("Go on: Basil is useful because it keeps flies away. Say where.", quoted, WordLimits(1, 99)) is None


def test_two_characters_of_a_script_without_spaces_are_a_word_of_a_run():
    row = Sample("罗勒有什么用?", "", "罗勒很有用,因为它能让苍蝇远离厨房和餐桌。")
    assert reason("罗勒很有用,因为它能让苍蝇远离厨?", row, WordLimits(1, 99)) is None
    assert reason("罗勒很有用,因为它能让苍蝇远离厨房?", row, WordLimits(1, 99))[0] == "echo"


def test_each_text_is_compared_with_its_own():
    row = Sample("Translate into Russian.", "Good morning", "Доброе утро")
    check_text("Доброе утро!", row, "output")
    with pytest.raises(ReplyError, match="language"):
        check_text("Good morning!", row, "output")
    check_text("", row, "output")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_a_check(new, old):
    found = reason(new, Sample(old, "", ""), WordLimits(0, 1_000))
    assert found is None or found[0] in {"empty", "echo", "length", "language", "new_url", "procedure"}
