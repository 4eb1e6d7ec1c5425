"""The form in which tags are compared."""

import pytest

from mergeit_ops.core.tags.rule_form import rule_form


@pytest.mark.parametrize(
    ("tags", "form"),
    [
        (["Creative-Writing", "creative_writing", " creative  WRITINGS! "], "creative writing"),
        (["Queries", "query"], "query"),
        (["boxes", "Box"], "box"),
        (["data analysis", "Data Analysis"], "data analysis"),
        (["class", "classes"], "class"),
        (["gas", "bus", "business", "his", "mathematics", "news", "economics"], None),
        (["SQL", "sql?"], "sql"),
        (["翻訳"], "翻訳"),
        (["हिन्दी कविता"], "हिन्दी कविता"),
        (["?!", "", "_"], ""),
    ],
)
def test_spellings_of_a_tag_share_a_form(tags, form):
    assert [rule_form(tag) for tag in tags] == ([form] * len(tags) if form is not None else tags)


@pytest.mark.parametrize("tag", ["Stories", "boxes", "C++ templates", "news", "series"])
def test_a_form_is_its_own_form(tag):
    assert rule_form(rule_form(tag)) == rule_form(tag)
