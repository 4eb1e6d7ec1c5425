"""The page of an experiment: it stands alone, and texts in it cannot act."""

from __future__ import annotations

from mergeit_ops.core.training_effect.verdict import worth_in_words
from mergeit_ops.training.page import page
from mergeit_ops.training.preparing import Prepared
from tests.report.test_page import HOSTILE, assert_stands_alone, data_of
from tests.training.found_results import some_rows, some_set
from tests.training.test_summary import found

MADE_WITH = {
    "student": " ".join(HOSTILE),
    "trained": "top",
    "layers": 8,
    "learning_rate": 3e-4,
    "epochs": 1,
    "step_tokens": 512,
    "device": "cpu",
    "bfloat16": True,
    "answer_tokens": 4000,
    "seed": 42,
}


def written(tmp_path, **options):
    done = found(tmp_path, **options)
    sets = [(one.name, one.of) for one in done.sets]
    return done, page(done, Prepared(sets, some_set(tmp_path, "pool"), some_rows(tmp_path, "held")), MADE_WITH)


def test_the_page_tells_verdicts_and_figures(tmp_path):
    done, html = written(tmp_path)
    assert_stands_alone(html)
    for one in done.sets:
        assert one.verdict.sentence in html
    assert done.sight.sentence in html
    assert f"{done.sets[0].measured.differences['row'].estimate:+.4f}" in html
    assert worth_in_words(done.sets[0].worth["token"]) in html
    data = data_of(html)
    assert data["names"] == ["twice the random rows", "half the answers swapped", "good", "same", "bad", "worst"]
    assert data["controls"] == [True, True, False, False, False, False]
    assert len(data["means"]["token"]["low"]) == 6


def test_names_cannot_act(tmp_path):
    _, html = written(tmp_path, planted={text.replace("/", "|").replace("\x00", ""): 0.0 for text in HOSTILE})
    assert_stands_alone(html)


def test_an_unfinished_experiment_has_a_page(tmp_path):
    _, html = written(tmp_path, draws=1)
    assert "The controls are not finished" in html
    assert "One draw does not show how much draws vary." in html
