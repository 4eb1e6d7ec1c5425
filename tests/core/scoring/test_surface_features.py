"""Surface features: one row of finite numbers per sample, each meaning what its name says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.surface_features import FEATURE_NAMES, surface_features

PROSE = "The river rises in the hills. It crosses two plains, and it ends in a wide delta."
ANYTHING = st.builds(Sample, instruction=st.text(), input=st.text(), output=st.text())


def features_of(output: str, instruction: str = "Describe the river.", material: str = "") -> dict[str, float]:
    row = surface_features([Sample(instruction, material, output)])[0]
    return dict(zip(FEATURE_NAMES, row.tolist(), strict=True))


def test_names_are_distinct() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


def test_no_samples_give_an_empty_table_of_full_width() -> None:
    assert surface_features([]).shape == (0, len(FEATURE_NAMES))


@given(st.lists(ANYTHING, max_size=4))
def test_every_feature_of_any_text_is_finite(samples: list[Sample]) -> None:
    features = surface_features(samples)
    assert features.shape == (len(samples), len(FEATURE_NAMES))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@given(ANYTHING)
def test_shares_lie_between_zero_and_one(sample: Sample) -> None:
    row = dict(zip(FEATURE_NAMES, surface_features([sample])[0], strict=True))
    assert all(0 <= value <= 1 for name, value in row.items() if name.endswith("_share"))


@given(st.lists(ANYTHING, min_size=2, max_size=4))
def test_a_row_does_not_depend_on_the_rows_around_it(samples: list[Sample]) -> None:
    together = surface_features(samples)
    alone = np.vstack([surface_features([sample]) for sample in samples])
    np.testing.assert_array_equal(together, alone)


def test_surrounding_white_space_changes_nothing() -> None:
    assert features_of(f"  \n{PROSE}\n\n ") == features_of(PROSE)


def test_lengths_are_logarithms_of_counts() -> None:
    features = features_of("One two. Three four!\nFive")
    assert features["output_log_chars"] == pytest.approx(np.log1p(25))
    assert features["output_log_words"] == pytest.approx(np.log1p(5))
    assert features["output_log_sentences"] == pytest.approx(np.log1p(3))
    assert features["output_log_lines"] == pytest.approx(np.log1p(2))


def test_repetition_raises_repetition_and_leaves_the_number_of_distinct_words() -> None:
    once, thrice = features_of(PROSE), features_of(" ".join([PROSE] * 3))
    assert thrice["output_log_chars"] > once["output_log_chars"]
    assert thrice["output_log_distinct_words"] == once["output_log_distinct_words"]
    assert thrice["output_repeated_trigram_share"] > 0.5 > once["output_repeated_trigram_share"]
    assert thrice["output_repeated_sentence_share"] > 0.5
    assert once["output_repeated_sentence_share"] == 0
    assert thrice["output_compression_ratio"] < once["output_compression_ratio"]


def test_scrambled_order_misplaces_articles() -> None:
    assert features_of(PROSE)["output_misplaced_article_share"] == 0
    scrambled = "The in the and it a is the of river hills. rises wide It crosses delta ends"
    assert features_of(scrambled)["output_misplaced_article_share"] > 0.5


@pytest.mark.parametrize("bullet", ["- ", "* ", "• ", "1. ", "2) ", "(a) "])
def test_list_lines_are_recognised(bullet: str) -> None:
    assert features_of(f"Steps:\n{bullet}boil\n{bullet}stir\n{bullet}serve")["output_list_line_share"] == 0.75


def test_form_of_the_answer_is_seen() -> None:
    assert features_of("```python\nprint(1)\n```")["output_has_code_fence"] == 1
    assert features_of("Done.")["output_ends_with_terminal"] == 1
    assert features_of("He said “done.”")["output_ends_with_terminal"] == 1
    assert features_of("and then the")["output_ends_with_terminal"] == 0


def test_input_and_copied_words_are_seen() -> None:
    features = features_of("blue sky", instruction="Repeat this.", material="blue sky")
    assert features["query_has_input"] == 1
    assert features["output_words_from_query_share"] == 1
