"""What weights were trained on, and which rows are unlike it."""

import json

import numpy as np
import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers.familiarity import OTHER_LANGUAGE, REASONING, UNLIKE_TRAINING, TrainedOn, languages_of

ENGLISH = [
    Sample("How do I keep bread fresh for longer?", "", "Wrap it in a cloth and keep it in a dry, dark place."),
    Sample(
        "What makes the sea salty?", "", "Rivers carry salts from the rocks into it, and only the water evaporates."
    ),
    Sample("Why do cats purr when they rest?", "", "They often purr when they are calm, and sometimes to calm down."),
]
GERMAN = [
    Sample("Wie halte ich Brot länger frisch?", "", "Wickle es in ein Tuch und lagere es trocken und dunkel."),
    Sample(
        "Warum ist das Meer salzig?", "", "Flüsse tragen Salze aus den Gesteinen hinein, und nur Wasser verdunstet."
    ),
    Sample("Warum schnurren Katzen im Schlaf?", "", "Sie schnurren oft, wenn sie ruhig sind, und auch zur Beruhigung."),
]
CODE = Sample("Write a loop in Python that prints the numbers to three.", "", "for n in range(3):\n    print(n + 1)")
TRACE = Sample("What is two and three?", "", "<think>Two, then three more.</think>\n\nTogether they are five.")


def trained(*samples: Sample) -> TrainedOn:
    return TrainedOn.of(samples, np.arange(len(samples), dtype=float))


def test_rows_are_described_as_they_are():
    known = trained(*ENGLISH, *ENGLISH, GERMAN[0], CODE)
    assert known.rows == 8
    assert list(known.languages) == ["en", "de"]
    assert known.languages["de"] == pytest.approx(1 / 8)
    assert known.code_share == pytest.approx(1 / 8)
    assert known.trace_share == 0
    lengths = sorted(len(sample.output) for sample in [*ENGLISH, *ENGLISH, GERMAN[0], CODE])
    assert (known.response_characters["shortest"], known.response_characters["longest"]) == (lengths[0], lengths[-1])
    assert known.farthest == pytest.approx(1.05 * 6.993, abs=1e-4)  # the quantile 0.999 of 0 to 7 is 6.993
    assert [known.is_far(distance) for distance in (7.3, 7.4)] == [False, True]
    assert "languages: en 87.5%, de 12.5%; responses of" in known.sentence()


@pytest.mark.parametrize("sample", ENGLISH)
def test_rows_in_the_language_trained_on_are_familiar(sample):
    assert trained(*ENGLISH).unfamiliar_texts(sample) is None
    assert trained(*GERMAN).unfamiliar_texts(sample) == OTHER_LANGUAGE


@pytest.mark.parametrize("sample", GERMAN)
def test_rows_in_another_language_are_not(sample):
    assert trained(*ENGLISH).unfamiliar_texts(sample) == OTHER_LANGUAGE
    assert trained(*ENGLISH, *GERMAN).unfamiliar_texts(sample) is None
    assert trained(*GERMAN).unfamiliar_texts(sample) is None


@pytest.mark.parametrize(
    "sample",
    [
        Sample("Translate the sentence into German.", "Bread keeps longer in a cloth.", GERMAN[0].output),
        Sample("Add the numbers.", "3, 4", "7"),
        Sample("PIN?", "", "7466503489"),
        CODE,
    ],
)
def test_a_question_in_a_known_language_or_no_language_at_all_is_familiar(sample):
    assert trained(*ENGLISH).unfamiliar_texts(sample) is None


def test_a_language_of_a_few_stray_rows_is_not_trained_on():
    assert trained(*ENGLISH * 100, GERMAN[0]).unfamiliar_texts(GERMAN[1]) == OTHER_LANGUAGE


def test_rows_that_tell_no_language_leave_every_language_familiar():
    known = trained(Sample("7 + 8", "", "15 " * 50), Sample("1 + 1", "", "2"))
    assert known.languages == {}
    assert known.unfamiliar_texts(GERMAN[0]) is None
    assert "none that could be told" in known.sentence()


def test_a_trace_is_familiar_only_where_traces_were_trained_on():
    assert trained(*ENGLISH).unfamiliar_texts(TRACE) == REASONING
    assert trained(*ENGLISH, TRACE).unfamiliar_texts(TRACE) is None


def test_a_response_of_more_than_twice_the_longest_is_unlike_training():
    longest = max(len(sample.output) for sample in ENGLISH)
    long, longer = (Sample(ENGLISH[0].instruction, "", "a" * (2 * longest + more)) for more in (0, 1))
    assert trained(*ENGLISH).unfamiliar_texts(long) is None
    assert trained(*ENGLISH).unfamiliar_texts(longer) == UNLIKE_TRAINING


def test_the_languages_of_both_sides_are_told():
    assert languages_of(Sample(ENGLISH[0].instruction, "", GERMAN[0].output)) == ("en", "de")
    assert languages_of(Sample("7466503489", "", "1234567890")) == ()


def test_a_record_survives_json():
    known = trained(*ENGLISH, CODE)
    assert TrainedOn.read(json.loads(json.dumps(known.record()))) == known


@pytest.mark.parametrize(
    "change",
    [
        {"languages": ["en"]},
        {"farthest": "far"},
        {"farthest": float("nan")},
        {"trace_share": -1},
        {"unknown": 1},
        {"response_characters": {}},
    ],
)
def test_a_damaged_record_is_refused(change):
    with pytest.raises((KeyError, TypeError, ValueError)):
        TrainedOn.read({**trained(*ENGLISH).record(), **change})
