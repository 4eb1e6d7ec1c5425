"""The distilled scorer: a fixed function of one row, in NumPy, that quantity alone does not fool."""

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.task_features import TASK_FEATURE_NAMES
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.scorers.corruption import pad_output, repeat_output, shuffle_output
from mergeit_ops.scorers.distilled import (
    CONFIG_FILE,
    SHIPPED_WEIGHTS,
    WEIGHTS_FILE,
    DistilledScorer,
)
from mergeit_ops.scorers.distilled_figures import as_tables
from mergeit_ops.scorers.distilled_training import (
    TrainingData,
    build_training_data,
    describe_training,
    fit,
    read_scored_rows,
    save,
)
from tests.scorers.distilled import CHEAP, HashEncoder, scored_rows
from tests.thorough import every

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

ROWS = [
    Sample(
        "Explain why the sky looks blue.",
        "",
        "Sunlight contains every colour. Air scatters short wavelengths far more than long ones, so blue light reaches "
        "our eyes from all over the sky. At sunset the path through the air is longer, and red is what remains.",
    ),
    Sample(
        "Give three tips for a first marathon.",
        "",
        "1. Build your weekly distance slowly, over at least sixteen weeks.\n2. Practise eating and drinking while you "
        "run.\n3. Start slower than you feel you could; the last ten kilometres decide the race.",
    ),
    Sample("Name the capital of Peru.", "", "The capital of Peru is Lima."),
    Sample(
        "Summarise the text.",
        "The library will close at noon on Friday so that the roof can be repaired before the autumn rain.",
        "The library closes at noon on Friday because its roof must be repaired before the rain.",
    ),
    Sample(
        "Write a short story about a lighthouse keeper.",
        "",
        "Every night Marta climbed the hundred steps and lit the lamp. One winter a ship answered with three flashes, "
        "and in the morning a boy stood at her door, holding a letter from the brother she had thought was drowned.",
    ),
    Sample(
        "What is the difference between a virus and a bacterium?",
        "",
        "A bacterium is a living cell that can multiply alone, and antibiotics can kill it. A virus is a packet of "
        "genes in a coat; it must enter a cell to multiply, and antibiotics do nothing to it.",
    ),
]


@pytest.fixture(scope="module")
def shipped() -> DistilledScorer:
    return DistilledScorer()


@pytest.fixture(scope="module")
def scores_all() -> DistilledScorer:
    """Also rows that are unlike those trained on, as spoiled ones may be."""
    return DistilledScorer(unfamiliar="score")


def values_of(scorer: DistilledScorer, samples: Sequence[Sample]) -> np.ndarray:
    scores = scorer.score(samples)
    assert all(score.status == "ok" for score in scores)
    return np.array([score.value for score in scores])


# The shipped weights


def test_shipped_weights_score_within_the_range_of_the_deita_score(shipped: DistilledScorer) -> None:
    values = values_of(shipped, ROWS)
    assert values.min() >= 1
    assert values.max() <= 6


def test_a_thorough_answer_scores_above_a_bare_one(shipped: DistilledScorer) -> None:
    thorough = [row for row in ROWS if len(row.output.split()) > 10]
    bare = [Sample(row.instruction, row.input, "Yes.") for row in thorough]
    assert (values_of(shipped, thorough) > values_of(shipped, bare)).all()


TRANSLATIONS = (
    (
        Sample("Translate the phrase 'Good morning' into French.", "", "Bonjour."),
        Sample("Translate the phrase 'Thank you very much' into French.", "", "Merci beaucoup."),
        Sample(
            "Translate the phrases 'Good morning' and 'Thank you very much' into French.",
            "",
            "'Good morning' is 'Bonjour', and 'Thank you very much' is 'Merci beaucoup'.",
        ),
    ),
    (
        Sample("Translate the sentence into Spanish.", "The weather is nice today.", "El clima es agradable hoy."),
        Sample(
            "Translate the sentence into Spanish.", "I would like a cup of coffee.", "Me gustaría una taza de café."
        ),
        Sample(
            "Translate both sentences into Spanish.",
            "The weather is nice today. I would like a cup of coffee.",
            "El clima es agradable hoy. Me gustaría una taza de café.",
        ),
    ),
    (
        Sample("Translate this into German: 'Where is the train station?'", "", "Wo ist der Bahnhof?"),
        Sample("Translate this into German: 'How much does a ticket cost?'", "", "Wie viel kostet eine Fahrkarte?"),
        Sample(
            "Translate into German what a traveller asks: 'Where is the station?' and 'How much does a ticket cost?'",
            "",
            "1. Wo ist der Bahnhof?\n2. Wie viel kostet eine Fahrkarte?",
        ),
    ),
)
"""Two rows with short answers, and a good merge of them."""


@pytest.mark.parametrize("triple", TRANSLATIONS, ids=["French", "Spanish", "German"])
def test_a_good_merge_of_short_answers_scores_above_its_parents_on_average(scores_all: DistilledScorer, triple) -> None:
    first, second, merge = values_of(scores_all, triple)
    assert merge > (first + second) / 2


PADDING = (
    "I really hope that you find this reply useful.",
    "Should something be unclear, just write to me again.",
    "Questions like yours come up quite often.",
    "A lot depends on your own situation and preferences.",
    "There would be plenty more to say about all this.",
    "Do take your time to think it over.",
)
"""Written for this test: neither trained on nor measured with."""


@pytest.fixture(scope="module")
def honest(sample_rows) -> list[Sample]:
    rows = [Sample(row["instruction"], row["input"], row["output"]) for row in sample_rows[::6]]
    # Shorter answers, so that the test stays quick.
    return [row for row in rows if len(row.output.split()) >= 5 and len(row.output) < 400]


@pytest.fixture(scope="module")
def honest_values(scores_all, honest) -> np.ndarray:
    return values_of(scores_all, honest)


@pytest.mark.parametrize(
    ("kind", "mean_change", "share_that_rises"),
    every(2, [("repeated", -0.1, 0.35), ("shuffled", -0.25, 0.3), ("padded", -0.35, 0.25), ("stuffed", -0.2, 0.4)]),
)
def test_more_text_of_less_worth_lowers_the_score(
    scores_all, honest, honest_values, kind, mean_change, share_that_rises
) -> None:
    foreign = {row: other.output for row, other in zip(honest, honest[1:] + honest[:1], strict=True)}
    spoil = {
        "repeated": lambda row, rng: repeat_output(row.output, rng.choice([2, 3, 5, 10])),
        "shuffled": lambda row, rng: shuffle_output(row.output, rng),
        "padded": lambda row, rng: pad_output(row.output, rng.sample(PADDING, rng.randint(1, 6)), rng),
        "stuffed": lambda row, rng: pad_output(row.output, [foreign[row]], rng),
    }
    rng = random.Random(0)
    spoiled = [Sample(row.instruction, row.input, spoil[kind](row, rng)) for row in honest]
    change = values_of(scores_all, spoiled) - honest_values
    assert change.mean() < mean_change
    assert (change > 0).mean() < share_that_rises


def test_without_the_deduction_padding_costs_less_and_no_score_is_lower(honest, honest_values) -> None:
    plain = DistilledScorer(unfamiliar="score", deduction=False)
    assert plain.identity() != DistilledScorer(unfamiliar="score").identity()
    values = values_of(plain, honest)
    assert (values >= honest_values).all()
    # Most honest answers lose nothing.
    assert (values == honest_values).mean() > 0.5
    padded = [Sample(row.instruction, row.input, " ".join([row.output, *PADDING])) for row in honest]
    taken = values_of(plain, padded) - values_of(DistilledScorer(unfamiliar="score"), padded)
    assert taken.mean() > 2 * (values - honest_values).mean()


# Between the types, a branch of a tree may be taken or not: then a score moves by as much as that branch.
@pytest.mark.parametrize(("dtype", "noise"), [("float32", 1e-4), ("bfloat16", 0.1)])
def test_scores_do_not_depend_on_order_or_batch(dtype: str, noise: float) -> None:
    scorer, rows = DistilledScorer(embedding_dtype=dtype), ROWS[:4]
    together = values_of(scorer, rows)
    np.testing.assert_allclose(values_of(scorer, rows[::-1])[::-1], together, atol=1e-4)
    alone = np.concatenate([values_of(scorer, [row]) for row in rows])
    np.testing.assert_allclose(alone, together, atol=1e-4)
    one_by_one = DistilledScorer(batch_size=1, embedding_dtype=dtype)
    np.testing.assert_allclose(values_of(one_by_one, rows), together, atol=1e-4)
    exact = values_of(DistilledScorer(embedding_dtype="float32"), rows)
    np.testing.assert_allclose(together, exact, atol=noise)


def test_blank_sides_have_no_score_and_leave_the_rest_alone(shipped: DistilledScorer) -> None:
    blank_output, blank_query = Sample("Say hello.", "", " \n"), Sample(" ", "\t", "Hello.")
    scores = shipped.score([blank_output, ROWS[0], blank_query])
    assert [score.status for score in scores] == ["empty_response", "ok", "empty_instruction"]
    assert [score.value is None for score in scores] == [True, False, True]
    assert scores[1].value == pytest.approx(shipped.score([ROWS[0]])[0].value, abs=0.1)


def test_no_rows_have_no_scores_and_load_nothing() -> None:
    scorer = DistilledScorer(embedding_model=str(SHIPPED_WEIGHTS))
    assert scorer.score([]) == []
    assert [score.status for score in scorer.score([Sample("Hi", "", "")])] == ["empty_response"]


def test_an_output_without_a_letter_or_digit_of_any_script_has_no_score(shipped: DistilledScorer) -> None:
    empty = [Sample("Say hello.", "", output) for output in ("...", "—", "🙂🙂", "__", "\u200b", "?!\n```\n```")]
    assert {score.status for score in shipped.score(empty)} == {"empty_response"}
    short = [Sample("Say it.", "", output) for output in ("是", "7", "é", "да", "٣")]
    assert {score.status for score in shipped.score(short)} == {"ok"}


def test_odd_texts_do_not_stop_the_batch(shipped: DistilledScorer, scores_all: DistilledScorer) -> None:
    odd = [
        Sample("\ud800 broken", "", "text \udfff"),
        Sample("x", "", "y" * 200_000),
        Sample("你好吗？", "", "我很好。"),
    ]
    assert [score.status for score in shipped.score(odd)] == ["ok", "unlike_training", "other_language"]
    values = values_of(scores_all, odd)
    assert ((values >= 1) & (values <= 6)).all()


def test_shipped_folder_is_small_and_has_card_and_licence() -> None:
    assert (SHIPPED_WEIGHTS / WEIGHTS_FILE).stat().st_size < 5_000_000
    assert "CC BY-NC 4.0" in (SHIPPED_WEIGHTS / "README.md").read_text(encoding="utf-8")
    licence = (SHIPPED_WEIGHTS / "LICENSE").read_text(encoding="utf-8")
    assert "https://creativecommons.org/licenses/by-nc/4.0/" in licence


def test_shipped_weights_hold_no_pickles() -> None:
    with np.load(SHIPPED_WEIGHTS / WEIGHTS_FILE, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind == "f" for name in stored.files)


def test_shipped_card_states_the_figures_of_the_weights_beside_it() -> None:
    figures = json.loads((SHIPPED_WEIGHTS / CONFIG_FILE).read_text(encoding="utf-8"))["metrics"]
    card = (SHIPPED_WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert figures["ranking"]["all"]["spearman"] >= 0.85
    assert as_tables(figures) in card


def test_shipped_weights_say_that_they_were_trained_on_short_english_rows(shipped: DistilledScorer) -> None:
    known = shipped.trained_on
    assert known is not None
    assert known.rows == 5_156
    assert known.languages["en"] > 0.99
    assert known.trace_share == 0
    documented = (Path(__file__).resolve().parents[2] / "docs" / "own_scorer.md").read_text(encoding="utf-8")
    assert " ".join(known.sentence().split()) in " ".join(documented.replace("\n>", "").split())


def test_shipped_scorer_ranks_real_rows_like_the_real_score(scores_all: DistilledScorer) -> None:
    file = SHARED_DATA / "deita_scored_5k.jsonl"
    if not file.is_file():
        pytest.skip("no scored rows beside the checkout")
    rows = read_scored_rows(file)[::40]
    predicted = values_of(scores_all, [row.sample for row in rows])
    assert spearmanr(predicted, [row.score for row in rows])[0] > 0.8


# Training, saving and loading


def test_scorer_on_trained_weights_learns_what_the_scores_follow(tiny_folder: Path, hash_encoder: HashEncoder) -> None:
    rows = scored_rows()
    predicted = values_of(DistilledScorer(path=str(tiny_folder)), [row.sample for row in rows])
    assert spearmanr(predicted, [row.score for row in rows])[0] > 0.9


# Rows unlike those trained on

PARALLEL = {
    "en": ("Why should dough rest before baking?", "So that the flour takes up the water and the yeast makes it rise."),
    "de": (
        "Warum soll Teig vor dem Backen ruhen?",
        "Damit das Mehl das Wasser aufnimmt und die Hefe ihn aufgehen lässt.",
    ),
    "fr": (
        "Pourquoi laisser reposer la pâte ?",
        "Pour que la farine absorbe l'eau et que la levure fasse lever la pâte.",
    ),
    "es": ("¿Por qué debe reposar la masa?", "Para que la harina absorba el agua y la levadura haga crecer la masa."),
    "ru": ("Почему тесто должно отдохнуть?", "Чтобы мука впитала воду, а дрожжи подняли тесто перед выпечкой."),
    "zh": ("为什么面团烤之前要静置？", "这样面粉能吸收水分，酵母也能让面团发起来。"),
    "ja": ("なぜ生地を焼く前に休ませるのですか。", "小麦粉が水を吸い、酵母が生地をふくらませるからです。"),
    "ar": ("لماذا يجب أن يرتاح العجين قبل الخبز؟", "لكي يمتص الدقيق الماء وتجعل الخميرة العجين يرتفع."),
}
TRACED = Sample("Add two and three.", "", "<think>Two, and then three more.</think>\n\nTogether they make five.")


@pytest.mark.parametrize("language", PARALLEL)
def test_the_shipped_weights_score_english_rows_only(shipped: DistilledScorer, language: str) -> None:
    (score,) = shipped.score([Sample(PARALLEL[language][0], "", PARALLEL[language][1])])
    assert score.status == ("ok" if language == "en" else "other_language")


def test_a_reasoning_trace_in_the_response_has_no_score(shipped: DistilledScorer) -> None:
    answer = Sample(TRACED.instruction, "", "Together they make five.")
    assert [score.status for score in shipped.score([TRACED, answer])] == ["reasoning", "ok"]


def test_a_response_far_longer_than_all_in_training_has_no_score(shipped: DistilledScorer) -> None:
    book = "\n\n".join(f"{number}. {row.output}" for number in range(100) for row in ROWS)
    scores = shipped.score([Sample(ROWS[0].instruction, "", book), ROWS[0]])
    assert [score.status for score in scores] == ["unlike_training", "ok"]


def test_ordinary_english_rows_keep_their_scores(shipped: DistilledScorer, sample_rows) -> None:
    # Fenced code was hardly trained on.
    rows = [row for row in sample_rows[::6] if len(row["output"]) < 1000 and "```" not in row["output"]]
    scores = shipped.score([Sample(row["instruction"], row["input"], row["output"]) for row in rows])
    assert {score.status for score in scores} == {"ok"}


def test_unfamiliar_rows_keep_a_score_that_is_asked_for_and_are_counted(lines) -> None:
    keeping, leaving = DistilledScorer(unfamiliar="score"), DistilledScorer()
    rows = [*(Sample(*texts[:1], "", texts[1]) for texts in PARALLEL.values()), TRACED]
    assert all(score.value is not None for score in keeping.score(rows))
    leaving.score(rows)
    for scorer in (keeping, leaving):
        assert scorer.figures() == {"unfamiliar": {"other_language": 7, "reasoning": 1}}
        scorer.finish()
    warnings = [message for message in lines if "8 rows are unlike those" in message]
    assert ["have a score that says little" in message for message in warnings] == [True, False]
    assert keeping.identity() != leaving.identity()


def test_familiar_rows_leave_no_figures_and_no_warning(shipped: DistilledScorer, lines) -> None:
    scorer = DistilledScorer()
    scorer.score(ROWS[:1])
    scorer.finish()
    assert scorer.figures() == {}
    assert not lines


def test_weights_without_a_record_score_every_row_and_say_so_once(
    tiny_folder: Path, hash_encoder: HashEncoder, lines
) -> None:
    scorer = DistilledScorer(path=str(tiny_folder))
    for _ in range(2):
        assert [score.status for score in scorer.score([TRACED, Sample(*PARALLEL["de"][:1], "", "Ja.")])] == ["ok"] * 2
    assert sum("do not record what they were trained on" in message for message in lines) == 1


def test_weights_from_before_the_last_features_are_read_without_them(
    tiny_folder: Path, hash_encoder: HashEncoder
) -> None:
    config = json.loads((tiny_folder / CONFIG_FILE).read_text(encoding="utf-8"))
    features = config["dense_features"][: -len(TASK_FEATURE_NAMES)]
    with np.load(tiny_folder / WEIGHTS_FILE) as stored:
        arrays = dict(stored)
    for name in ("surface_mean", "surface_scale", "support_vectors"):
        arrays[name] = arrays[name][..., : -len(TASK_FEATURE_NAMES)]
    arrays["split_features"] = np.minimum(arrays["split_features"], len(features) - 1)
    np.savez(tiny_folder / WEIGHTS_FILE, **arrays)
    (tiny_folder / CONFIG_FILE).write_text(json.dumps(config | {"dense_features": features}), encoding="utf-8")
    values = values_of(DistilledScorer(path=str(tiny_folder)), ROWS)
    assert ((values >= 1) & (values <= 6)).all()


def test_weights_trained_on_another_language_are_familiar_with_it(
    tmp_path: Path, hash_encoder: HashEncoder, training_data: TrainingData
) -> None:
    german = [
        replace(row, sample=Sample(f"{number}: {PARALLEL['de'][0]}", "", PARALLEL["de"][1] + " So ist es." * number))
        for number, row in enumerate(training_data.rows)
    ]
    data = build_training_data(german, hash_encoder, seed=1)  # type: ignore[arg-type]
    model = fit(data, CHEAP).export(data.embedding_model, data.probe_embedding)
    save(model, tmp_path, trained_on=describe_training(data, model))
    scorer = DistilledScorer(path=str(tmp_path))
    scores = scorer.score([german[3].sample, Sample(PARALLEL["en"][0], "", PARALLEL["en"][1])])
    assert [score.status for score in scores] == ["ok", "other_language"]


# Refusals


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"device": ""}, "device"),
        ({"path": " "}, "path"),
        ({"path": 3}, "path"),
        ({"embedding_model": ""}, "embedding_model"),
        ({"embedding_model": "someone/another-model"}, "embedding_model"),
        ({"unfamiliar": "none"}, "unfamiliar"),
        ({"deduction": 1}, "deduction"),
    ],
)
def test_bad_parameters_are_refused_at_once(parameters: dict[str, object], name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} must be"):
        DistilledScorer(**parameters)  # type: ignore[arg-type]


def test_a_missing_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScorerError, match="does not exist"):
        DistilledScorer(path=str(tmp_path / "nowhere"))


def test_a_folder_without_a_file_is_refused_at_once(tiny_folder: Path) -> None:
    (tiny_folder / WEIGHTS_FILE).unlink()
    with pytest.raises(ScorerError, match=WEIGHTS_FILE):
        DistilledScorer(path=str(tiny_folder))
    (tiny_folder / CONFIG_FILE).unlink()
    with pytest.raises(ScorerError, match=CONFIG_FILE):
        DistilledScorer(path=str(tiny_folder))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format_version", 99),
        ("model_kind", "oracle"),
        ("dense_features", ["output_log_chars"]),
        ("gamma", "wide"),
        ("embedding_width", None),
        ("score_scale", [6, 1]),
        ("score_scale", [1, float("inf")]),
        ("score_scale", "wide"),
        ("score_scale", None),
        ("trained_on", "English rows"),
        ("trained_on", {"rows": 3}),
    ],
)
def test_a_config_of_another_format_is_refused_at_once(tiny_folder: Path, key: str, value: object) -> None:
    config = json.loads((tiny_folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (tiny_folder / CONFIG_FILE).write_text(json.dumps(config | {key: value}), encoding="utf-8")
    with pytest.raises(ScorerError, match=key):
        DistilledScorer(path=str(tiny_folder))


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"'])
def test_a_config_that_is_no_json_object_is_refused_at_once(tiny_folder: Path, text: str) -> None:
    (tiny_folder / CONFIG_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ScorerError, match=CONFIG_FILE):
        DistilledScorer(path=str(tiny_folder))


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "flipped"])
def test_damaged_weights_are_refused_with_a_sentence(tiny_folder: Path, hash_encoder: HashEncoder, damage: str) -> None:
    file = tiny_folder / WEIGHTS_FILE
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(
        {
            "empty": b"",
            "text": b"these are no weights",
            "cut": content[:middle],
            "flipped": content[:middle]
            + bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
            + content[middle + 64 :],
        }[damage]
    )
    with pytest.raises(ScorerError, match="could not be read"):
        DistilledScorer(path=str(tiny_folder)).score(ROWS)


def test_a_pickle_in_the_weights_is_refused(tiny_folder: Path, hash_encoder: HashEncoder) -> None:
    np.savez(tiny_folder / WEIGHTS_FILE, projection=np.array([{"any": "object"}], dtype=object))
    with pytest.raises(ScorerError, match="could not be read"):
        DistilledScorer(path=str(tiny_folder)).score(ROWS)


@pytest.mark.parametrize("name", ["support_vectors", "probe_embedding", "surface_scale", "split_thresholds"])
def test_arrays_that_do_not_fit_together_are_refused(tiny_folder: Path, hash_encoder: HashEncoder, name: str) -> None:
    with np.load(tiny_folder / WEIGHTS_FILE) as stored:
        arrays = dict(stored)
    np.savez(tiny_folder / WEIGHTS_FILE, **(arrays | {name: arrays[name][..., :-1]}))
    with pytest.raises(ScorerError, match=name):
        DistilledScorer(path=str(tiny_folder)).score(ROWS)


def test_trees_that_look_at_no_feature_are_refused(tiny_folder: Path, hash_encoder: HashEncoder) -> None:
    with np.load(tiny_folder / WEIGHTS_FILE) as stored:
        arrays = dict(stored)
    arrays["split_features"] = arrays["split_features"] + 1000
    np.savez(tiny_folder / WEIGHTS_FILE, **arrays)
    with pytest.raises(ScorerError, match="features that do not exist"):
        DistilledScorer(path=str(tiny_folder)).score(ROWS)


def test_weights_of_another_embedding_model_are_refused(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OtherEncoder(HashEncoder):
        def _vector(self, text: str) -> np.ndarray:
            return super()._vector("salt " + text)

    monkeypatch.setattr("mergeit_ops.embedding.load_encoder", lambda *_: OtherEncoder())
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    with pytest.raises(ScorerError, match="trained with"):
        DistilledScorer(path=str(copy)).score(ROWS)
