"""Key phrases: what counts as one, which are chosen, and the languages."""

from mergeit_ops.core.tags.key_phrases import KeyPhrases, count_phrases
from mergeit_ops.core.tags.least_count import least_count


def counts_of(texts, longest=3, least=1):
    known, all_counts = frozenset(), {}
    for words in range(1, longest + 1):
        found = {phrase: count for phrase, count in count_phrases(texts, words, known).items() if count >= least}
        known = frozenset(found)
        all_counts |= found
    return all_counts


def test_phrases_leave_out_stop_words_numbers_and_plurals_and_end_at_marks():
    counts = counts_of(["Write 5 short poems about the autumn. Stories, please!"])
    assert {phrase for phrase in counts if " " not in phrase} == {"write", "short", "poem", "autumn", "story"}
    assert "short poem autumn" in counts
    assert not any("story" in phrase for phrase in counts if " " in phrase)


def test_a_phrase_counts_once_for_each_text():
    assert count_phrases(["poem, poem", "poems"], 1, ()) == {"poem": 2}


def test_long_phrases_are_counted_if_their_parts_are_known():
    texts = ["steam engine history"]
    assert count_phrases(texts, 2, {"steam", "engine"}) == {"steam engine": 1}
    assert count_phrases(texts, 3, {"steam engine"}) == {}
    # So no frequent phrase is lost.
    many = ["steam engine history"] * 2 + ["engine history", "steam"]
    assert counts_of(many, least=2) == {phrase: count for phrase, count in counts_of(many).items() if count >= 2}


def test_the_rarest_phrases_are_chosen_and_no_two_share_a_word():
    phrases = KeyPhrases({"write": 50, "poem": 10, "write poem": 5, "autumn": 5, "rain": 5}, 100, 3, 10)
    # Equal weights: the longer phrase, then the earlier one.
    assert phrases.of("Write a poem about rain in autumn.") == ["write poem", "rain", "autumn"]
    assert phrases.of("Write: rain, rain, rain!") == ["rain", "write"]
    assert KeyPhrases(phrases.counts, 100, 3, 1).of("Write a poem about autumn.") == ["write poem"]
    assert phrases.of("Nothing known") == []
    overlapping = KeyPhrases({"list expensive": 2, "expensive product": 3, "product": 4}, 100, 3, 10)
    assert overlapping.of("List expensive products") == ["list expensive", "product"]


def test_words_of_other_languages():
    assert set(counts_of(["Übersetze die Sätze"], 1)) == {"übersetze", "die", "sätze"}
    assert set(counts_of(["हिन्दी में लिखो"], 1)) == {"हिन्दी", "में", "लिखो"}
    # Pairs of characters, and no longer phrases.
    assert set(counts_of(["日本語で"])) == {"日本", "本語", "語で"}


def test_the_least_count_follows_the_rows():
    assert [least_count(rows, None) for rows in (0, 44_999, 306_044)] == [2, 2, 20]
    assert least_count(306_044, 7) == 7
