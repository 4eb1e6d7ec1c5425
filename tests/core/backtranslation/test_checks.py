"""What is refused in a sample without a model, with a correction that says why."""

import pytest

from mergeit_ops.core.backtranslation.checks import check_sample
from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.sample import Sample

TEXT = "Rye bread is baked for an hour at 220 degrees. See https://bread.example/rye for the dough."


def reason(sample, text=TEXT):
    with pytest.raises(ReplyError) as refused:
        check_sample(sample, text)
    return str(refused.value.reason), refused.value.correction


@pytest.mark.parametrize(
    ("sample", "why"),
    [
        (Sample(TEXT.replace(" ", "\n"), "", TEXT), "echo"),
        (Sample("How long is rye bread baked, according to the text?", "", TEXT), "procedure"),
        (Sample("Summarize the given article.", "", TEXT), "procedure"),
        (Sample("What does the passage above say of bread?", "", TEXT), "procedure"),
        (Sample("ライ麦パンはどのくらい焼きますか", "", TEXT), "language"),
        (Sample("How is rye bread baked?", "", "一時間焼きます"), "language"),
        (Sample("What is on https://bread.example/wheat about?", "", TEXT), "new_url"),
        (Sample("How is it baked?", "See www.rye.example.", "For an hour."), "new_url"),
    ],
)
def test_what_a_model_can_mend_is_sent_back_with_what_is_wrong(sample, why):
    found, correction = reason(sample)
    assert found == why
    assert correction


def test_a_refusal_is_no_sample_unless_the_text_refuses_too():
    refusal = "I'm sorry, but I cannot help with that request."
    assert reason(Sample("How is rye bread baked?", "", refusal)) == ("refused", "")
    assert reason(Sample(refusal, "", TEXT)) == ("refused", "")
    check_sample(Sample("How does one decline politely?", "", refusal), refusal)


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (Sample("How is rye bread baked?", "", TEXT), TEXT),
        (Sample("Where is the dough described?", "", "At https://bread.example/rye."), TEXT),
        # An input is what the pointer means.
        (Sample("Summarize the given text.", "Rye bread is baked.", "It is baked."), TEXT),
        # The text itself speaks of one.
        (Sample("What is true according to the article?", "", "x"), "All is true, according to the article."),
        (Sample("Write an article below 500 words on how a document is read.", "", TEXT), TEXT),
        (Sample("What is 2 + 2?", "", "4"), "4"),
    ],
)
def test_what_stands_for_itself_passes(sample, text):
    check_sample(sample, text)
