"""Typical words: those planted in a topic, not those of every topic."""

import numpy as np
import pytest

from mergeit_ops.core.topics.words import typical_words


@pytest.fixture
def planted():
    """Three topics of fifty texts: common words everywhere, two of their own in each."""
    rng = np.random.default_rng(0)
    own = {0: ("volcano", "lava"), 4: ("sonnet", "rhyme"), 9: ("invoice", "ledger")}
    common = ["write", "describe", "short", "example", "please"]
    return own, {
        topic: [f"{' '.join(rng.choice(common, 4))} the {own[topic][i % 2]} and {own[topic][0]}" for i in range(50)]
        for topic in own
    }


def test_names_the_planted_words(planted):
    own, texts = planted
    found = typical_words(texts, count=2)
    assert {topic: tuple(words) for topic, words in found.items()} == own


def test_stop_words_are_not_typical(planted):
    _, texts = planted
    assert not {"the", "and"} & {word for words in typical_words(texts, count=9).values() for word in words}


def test_one_long_text_does_not_name_its_topic(planted):
    _, texts = planted
    texts[0].append("zebra " * 90)
    assert "zebra" not in typical_words(texts, count=2)[0]


def test_the_order_of_rows_does_not_matter(planted):
    _, texts = planted
    turned = {topic: rows[::-1] for topic, rows in reversed(texts.items())}
    assert typical_words(turned) == typical_words(texts)


def test_scripts_without_spaces_have_words_too():
    found = typical_words({0: ["写一首关于火山的诗", "火山为什么喷发"], 1: ["写一封邮件", "邮件怎么写"]}, count=1)
    assert found == {0: ["火山"], 1: ["邮件"]}


@pytest.mark.parametrize("texts", [{}, {3: []}, {3: ["", "12 + 5"]}])
def test_topics_without_words_have_none(texts):
    assert typical_words(texts) == {topic: [] for topic in texts}


def test_words_keep_the_marks_that_stand_at_their_letters():
    texts = {0: ["नदी में मछली रहती है"] * 3, 1: ["சிறிய வீடு"] * 3}
    found = typical_words(texts, count=9)
    assert {"नदी", "मछली"} <= set(found[0])
    assert set(found[1]) == {"சிறிய", "வீடு"}
