"""Finding the samples of a topic that are merged with each other."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

COLUMNS = ["instruction", "output", "system", "source"]
READER = SampleReader("op", resolve_format("alpaca", COLUMNS), EncoderSettings("none"))
ANGLES = [0.0, 0.1, 0.2, 2.0, 2.1]


def topic(number=0, **columns):
    rows = len(ANGLES)
    vectors = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
    table = {"instruction": [f"q{row}" for row in range(rows)], "output": ["a"] * rows, "system": [""] * rows}
    table |= {"source": [{"at": "x"}] * rows, EMBEDDING: encode_vectors(vectors)}
    return Topic(number, pa.table(table | columns), {})


def members(of, threshold=0.9, **parameters):
    return [group.members for group in PairingJob(READER, threshold, **parameters).groups(of)]


def test_similar_rows_are_paired_and_no_row_twice():
    # Rows 0 and 1 are as near to each other as rows 1 and 2, up to rounding.
    assert sorted(members(topic())) in ([(0, 1), (3, 4)], [(1, 2), (3, 4)])
    (group, *_) = PairingJob(READER, 0.9).groups(topic())
    assert group.similarity == pytest.approx(np.cos(0.1), abs=1e-4)
    assert sorted(members(topic(), max_group_size=3))[-1] == (3, 4)


def test_rows_that_may_not_be_merged_are_left_out():
    found = members(topic(output=["a", "", "a", "a", "a"]))
    assert sorted(found) == [(0, 2), (3, 4)]
    assert members(topic(output=["a", "", "", "", ""])) == []


def test_rows_must_share_their_system_prompt():
    assert sorted(members(topic(system=["A", "B", "A", "A", "B"]))) == [(0, 2)]


@pytest.mark.parametrize("within", [("source",), ("source.at",)])
def test_rows_must_agree_in_the_columns_that_the_recipe_names(within):
    values = [{"at": "x"}, {"at": "y"}, {"at": "x"}, {"at": None}, {"at": None}]
    assert sorted(members(topic(source=values), within=within)) == [(0, 2), (3, 4)]


def test_a_share_is_of_all_rows_of_the_topic():
    assert len(members(topic(), threshold=-1, ratio=0.4)) == 1
    assert len(members(topic(), threshold=-1, ratio=1.0)) == 2
    some_unreadable = topic(output=["a", "a", "a", "a", ""])
    assert len(members(some_unreadable, threshold=-1, ratio=0.4)) == 1


def test_random_groups_depend_on_the_seed_and_the_topic():
    def drawn(number, seed=0):
        return members(topic(number), threshold=-1, order="random", seed=seed)

    assert drawn(0) == drawn(0)
    assert len({str(drawn(number, seed)) for number in range(4) for seed in range(4)}) > 3


def test_one_row_has_no_pair():
    assert PairingJob(READER, 0.5).groups(Topic(0, topic().table.slice(0, 1), {})) == []
    assert PairingJob(READER, 0.5).groups(Topic(0, topic().table.slice(0, 0), {})) == []


FRENCH = "Explique pourquoi les feuilles des arbres rougissent en automne."
ENGLISH = "Explain why the leaves of the trees turn red in autumn."


def test_rows_in_different_languages_are_not_paired_unless_asked():
    texts = [ENGLISH, FRENCH, ENGLISH, FRENCH, FRENCH]
    assert sorted(members(topic(instruction=texts))) == [(0, 2), (3, 4)]
    assert members(topic(instruction=texts), across_languages=True) == members(topic())


def test_a_row_that_does_not_tell_its_language_counts_as_the_topics():
    assert sorted(members(topic(instruction=["12", ENGLISH, FRENCH, ENGLISH, "13"]))) == [(0, 1), (3, 4)]


def test_an_answer_tells_the_language_of_a_short_question():
    texts, answers = ["12"] * 2 + [ENGLISH] * 3, [FRENCH, ENGLISH, ENGLISH, FRENCH, FRENCH]
    assert sorted(members(topic(instruction=texts, output=answers))) == [(1, 2), (3, 4)]


def test_the_language_that_data_juicer_found_counts():
    stats = [{"lang": "en"}, {"lang": "fr"}, {"lang": "en"}, {"lang": None}, {}]
    found = members(topic(instruction=[ENGLISH] * 3 + [FRENCH] * 2, **{STATS: pa.array(stats)}))
    assert sorted(found) == [(0, 2), (3, 4)]
