"""What the name of a column says about its value."""

import pytest

from mergeit_ops.core.formats import vocabulary
from mergeit_ops.core.formats.vocabulary import words_of

KINDS = ("reasoning", "tools", "calls", "media", "documents")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("generatedSolution", ("generated", "solution")),
        ("generated_solution", ("generated", "solution")),
        ("Image-URL 2", ("image", "url")),
        ("APIs", ("apis",)),
        ("", ()),
        ("问题", ()),
        ("cot", ("cot",)),
    ],
)
def test_a_name_is_split_into_words_however_it_is_written(name, words):
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("deepseek_reasoning", {"reasoning"}),
        ("chainOfThought", {"reasoning"}),
        ("chain_of_thought_en", {"reasoning"}),
        ("available_tools", {"tools"}),
        ("functionCall", {"tools", "calls"}),
        ("calls", set()),
        ("image_path", {"media"}),
        ("context_documents", {"documents"}),
        ("cottage", set()),
        ("capital", set()),
        ("toolbox", set()),
        ("imagination", set()),
        ("instruction", set()),
        ("", set()),
    ],
)
def test_only_whole_words_say_something(name, kinds):
    assert {kind for kind in KINDS if getattr(vocabulary, f"speaks_of_{kind}")(name)} == kinds
