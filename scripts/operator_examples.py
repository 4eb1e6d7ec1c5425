"""Examples of the operators for their pages: input rows, and the rows that the operator returns for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from data_juicer.core.data import NestedDataset
from datasets import Dataset

from mergeit_ops import ops
from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, STATS
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.jobs.scoring import MADE_BY
from tests.llm_server import FakeLLMServer, parents_of
from tests.tiny_models import gpt2_folder

_SHOWN = 72  # maximum characters of a text that contains a whole row

# These rows are not near any threshold, so that the results do not depend on how a machine rounds.
INTERVIEWS = (
    {
        "id": "a1",
        "instruction": "What should I wear to an interview at a small software company?",
        "input": "",
        "output": "Smart casual. Clean, ironed, comfortable, no need for a suit.",
    },
    {
        "id": "a2",
        "instruction": "Is a suit too formal for an interview at a small software firm?",
        "input": "",
        "output": "Usually yes. A clean shirt and dark trousers are fine.",
    },
    {
        "id": "a3",
        "instruction": "What should I read about a company before an interview?",
        "input": "",
        "output": "What it sells, who buys it, and what has changed there in the last year.",
    },
)
RICE = (
    {
        "id": "b1",
        "instruction": "How do I keep rice from sticking to the pot?",
        "input": "",
        "output": "Rinse it until the water runs clear, and do not stir it while it cooks.",
    },
    {
        "id": "b2",
        "instruction": "Why does my rice stick to the bottom of the pot?",
        "input": "",
        "output": "too hot too hot too hot",
    },
    {
        "id": "b3",
        "instruction": "How long does rice have to cook?",
        "input": "",
        "output": "Twelve minutes for white rice, thirty for brown rice.",
    },
)
ROWS = INTERVIEWS + RICE

TAGS = (
    ["Cooking recipes", "Rice", "Kitchen Tips"],
    ["recipe for cooking", "rice", "odd"],
    ["cooking-recipe", "rice!", "kitchen tip"],
)
COOKING = (["rice", "pots", "cleaning"], ["rice", "pots"], ["time"])

ANSWER = {
    "instruction": "I have an interview at a small software company. What should I wear, and is a suit too formal?",
    "input": "",
    "output": "Smart casual: a clean, ironed shirt and dark trousers. You need no suit; it is usually too formal.",
}

TEXTS = (
    {
        "id": "t1",
        "text": "Rice should rest for ten minutes with the lid on after it has cooked. The grains at the bottom give "
        "off steam to those at the top, and all of them become equally firm.",
    },
    {"id": "t2", "text": "Rinse it first."},
)
QUESTION = {"instruction": "How long should rice rest after it has cooked, and why?", "output": ""}

HARDER = {
    "instruction": "How long do white and brown rice cook, and how do I tell by the grains of each that they are done?",
    "output": "White rice takes twelve minutes, brown rice thirty. It is done when the grains are soft to the middle.",
}


@dataclass(frozen=True)
class Example:
    """An example of an operator.

    :param words: heading that says what the example shows.
    :param parameters: parameters in the recipe; the others have their defaults.
    :param explanation: why the operator returns these rows.
    :param rows: rows of the dataset.
    :param earlier: operators that run before, with their parameters.
    :param answer: answer of the example's language model to each request; None: the example needs no model.
    :param toy_model: whether a model with random weights replaces the model that the operator loads.
    """

    words: str
    parameters: Mapping[str, Any]
    explanation: str
    rows: Sequence[Mapping[str, Any]] = ROWS
    earlier: Sequence[tuple[type, Mapping[str, Any]]] = ()
    answer: Mapping[str, str] | None = None
    toy_model: bool = False


@dataclass(frozen=True)
class Shown:
    """The result of an example.

    :param before: input rows of the operator.
    :param after: rows that the operator returned.
    """

    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)


_TOPICS = (ops.TopicClusterGrouper, {"num_clusters": 2})
_ONE_TOPIC = (ops.TopicClusterGrouper, {"num_clusters": 1})
_MERGED = (ops.LLMPairMergerMapper, {"merge_strategy": "concat"})

EXAMPLES: Mapping[str, Sequence[Example]] = {
    "budget_selector": [
        Example(
            "Three of six rows, drawn at random",
            {"select_num": 3},
            "The rows keep their order. The draw depends on their content and on the seed, not on their position.",
        ),
        Example(
            "The two with the highest value of a column",
            {"select_num": 2, "field_key": "votes"},
            "If values are equal, the first rows are kept. `reverse: false` keeps the lowest values.",
            rows=[row | {"votes": votes} for row, votes in zip(INTERVIEWS, (3, 1, 2), strict=True)],
        ),
    ],
    "combined_score_filter": [
        Example(
            "Two stats become one, and the lowest row goes",
            {"weights": {"votes": 0.5, "stars": 1.0}, "intercept": 1.0, "min_score": 3.0},
            "The third row has no stars, so it has no score, and `on_missing_score: keep` keeps it.",
            rows=[
                row | {"votes": votes, "stars": stars}
                for row, votes, stars in zip(INTERVIEWS, (2, 2, 8), (4, 0.5, None), strict=True)
            ],
        )
    ],
    "decontamination_filter": [
        Example(
            "Rows of a benchmark are marked",
            {"paths": ["recipes/data/sample_benchmark.jsonl"], "action": "mark"},
            "The question about rice is in the benchmark word for word, the one about a suit in other words. With "
            "`action: drop`, the default, both rows would be removed.",
            rows=(*INTERVIEWS[1:], RICE[0]),
        )
    ],
    "diversity_selector": [
        Example(
            "The two rows that are farthest from each other",
            {"select_num": 2, "start": "first"},
            "The operator keeps the first row, and the row that is least similar to it.",
        ),
        Example(
            "The outlier of each topic",
            {"method": "centroid_distance", "select_num": 2, "allocation": "equal"},
            "The operator keeps the same number of rows of each topic, here one: the row that is least similar to the "
            "others.",
            earlier=[_TOPICS],
        ),
    ],
    "sentence_embedding_mapper": [
        Example(
            "Two rows get their embedding",
            {},
            "Each row has a new column: 384 numbers of 32 bits, as base64. Operators that find it do not embed again.",
            rows=INTERVIEWS[:2],
        )
    ],
    "topic_cluster_grouper": [
        Example(
            "Six rows become two topics",
            {"num_clusters": 2},
            "The operator returns one row for each topic. Every column has the list of its samples' values. One topic "
            "is interviews, the other rice.",
        )
    ],
    "facility_location_selector": [
        Example(
            "Two of six rows, without topics",
            {"select_num": 2},
            "Each kept row represents its neighbours. With one question about interviews and one about rice, every row "
            "has a similar row among the kept ones. Columns and order stay.",
        ),
        Example(
            "A fifth of each topic",
            {"select_ratio": 0.2},
            "The operator takes topics and returns smaller topics: `max(1, round(0.2 * size))` rows of each, here one.",
            earlier=[_TOPICS],
        ),
        Example(
            "Two rows that are good, too",
            {"select_num": 2, "score_key": "votes", "score_weight": 0.6},
            "The operator still keeps one question about interviews and one about rice, but now those with the most "
            "votes. The log says: `mean score (chosen 4.5, all 2.0)`.",
            rows=[row | {"votes": votes} for row, votes in zip(ROWS, (1, 0, 4, 1, 1, 5), strict=True)],
        ),
    ],
    "pool_score_mapper": [
        Example(
            "Each row gets the distance to its second neighbour",
            {"scorer": "knn_distance", "scorer_params": {"k": 2}},
            "There are three rows about interviews and three about rice. Each has two neighbours, and the row that is "
            "least similar to its neighbours has the largest distance.",
        )
    ],
    "sample_score_filter": [
        Example(
            "Rows get their quality, and the poor one goes",
            {"min_score": 2.1},
            "The scorer is `distilled`, with scores from 1 to 6. The answer that repeats itself has less than 2.1.",
            rows=RICE,
        ),
        Example(
            "Rows get the IFD score of Superfiltering",
            {"scorer": "response_loss", "scorer_params": {"hf_model": "gpt2"}},
            "The score is the perplexity of the answer after the question, divided by that of the answer alone. (The "
            "example's model is a toy with random weights, so its scores mean nothing. It reads at most 128 "
            "characters, so the third row has no room for an answer.)",
            rows=[*INTERVIEWS[:2], {**INTERVIEWS[2], "instruction": INTERVIEWS[2]["instruction"] + " Think." * 12}],
            toy_model=True,
        ),
    ],
    "instruction_tag_mapper": [
        Example(
            "Rows get the key phrases of their instructions",
            {},
            "A phrase is a tag if another row has it too. Words such as `at` and `a` do not count. Two tags of a row "
            "share no word: `interview small software` comes before `interview`, which more rows have.",
            rows=INTERVIEWS,
        )
    ],
    "instruction_rewrite_mapper": [
        Example(
            "An instruction gets three nodes more and a new response",
            {"api_or_hf_model": "gpt-4o"},
            "The instruction has 7 words, and the new one has 22; 19 to 100 are allowed. `rewrite_parent` is the whole "
            "original row. (The answers of the example's model were written by hand.)",
            rows=RICE[2:],
            answer=HARDER,
        ),
        Example(
            "A reply that breaks a rule leaves the row as it was",
            {"api_or_hf_model": "gpt-4o", "method": "deepen", "max_failure_ratio": 1.0},
            "The reply has a web address that the row does not have. After three tries, the row stays unchanged.",
            rows=RICE[2:],
            answer={**HARDER, "instruction": f"{HARDER['instruction']} See https://example.org."},
        ),
    ],
    "backtranslation_mapper": [
        Example(
            "A text gets the instruction that it answers",
            {"api_or_hf_model": "gpt-4o", "min_chars": 100},
            "The output is exactly the text. The second text is too short, so no model is called for it. (The answer "
            "of the example's model was written by hand.)",
            rows=TEXTS,
            answer=QUESTION,
        ),
        Example(
            "A text without a sample is dropped",
            {"api_or_hf_model": "gpt-4o", "min_chars": 100, "on_failure": "drop"},
            "The record counts it: `filtered out 1; without sample (too_short 1)`.",
            rows=TEXTS,
            answer=QUESTION,
        ),
    ],
    "tag_normalization_mapper": [
        Example(
            "Spellings and synonyms become one tag",
            {"min_tag_count": 1},
            "Case, punctuation and plurals do not count, and the embeddings of `cooking recipe` and `recipe for "
            "cooking` are similar. By default `odd` would be removed, because only one row has it.",
            rows=[row | {"tags": tags} for row, tags in zip(RICE, TAGS, strict=True)],
        )
    ],
    "tag_coverage_selector": [
        Example(
            "Two rows that have all tags",
            {"select_num": 2},
            "The operator first keeps the row with the most tags, then the row with a tag that the first one does not "
            "have.",
            rows=[row | {"tags": tags} for row, tags in zip(RICE, COOKING, strict=True)],
        ),
        Example(
            "Two rows that are good and have most tags",
            {"method": "information_gain", "select_num": 2, "score_key": "votes", "score_scale": "raw"},
            "Each tag gets the score of its row. So a new tag with few votes can count less than known tags with many "
            "votes. The log says: `mean score (chosen 6.5, all 4.7)`.",
            rows=[
                row | {"tags": tags, "votes": votes} for row, tags, votes in zip(RICE, COOKING, (6, 7, 1), strict=True)
            ],
        ),
    ],
    "scored_diversity_selector": [
        Example(
            "The best rows that are not alike",
            {"score_key": "votes", "select_num": 3, "max_similarity": 0.6},
            "The second best row is too similar to the best one, so the operator keeps the next one. The log says: "
            "`too alike 2`.",
            rows=[row | {"votes": votes} for row, votes in zip(ROWS, (5, 4, 1, 3, 2, 2), strict=True)],
        ),
        Example(
            "Good rows with words that no other has",
            {"method": "ngram_coverage", "score_key": "votes", "score_scale": "raw", "select_num": 2},
            "The second row has the most rare words. The first row has as many votes, but shares words with it. The "
            "third row has fewer votes, but adds more words.",
            rows=[row | {"votes": votes} for row, votes in zip(INTERVIEWS, (5, 5, 4), strict=True)],
        ),
    ],
    "low_confidence_selector": [
        Example(
            "The row nearest to each centre, and the least certain one",
            {"num_clusters": 2, "train_per_cluster": 2, "num_per_cluster_near": 1, "select_num": 3},
            "Naive Bayes learns interviews from two rows, and rice from two other rows. Among the remaining rows, it "
            "is least certain about the one that has few of these words.",
        )
    ],
    "semantic_deduplicator": [
        Example(
            "Two rows that ask nearly the same",
            {"max_similarity": 0.6},
            "Two questions are about a suit, and two about rice that sticks. The operator keeps the first of each "
            "pair. The record names both pairs.",
        )
    ],
    "topic_reverse_grouper": [
        Example(
            "Two topics become six rows again",
            {},
            "The rows are the original ones. `topic_id` and `row_id` are in the metadata. The embedding is removed.",
            earlier=[_TOPICS],
        )
    ],
    "llm_pair_merger_mapper": [
        Example(
            "A language model merges a pair",
            {"api_or_hf_model": "gpt-4o"},
            "The topic has three rows, and the two similar ones become one. The merge contains both whole parents. It "
            "has no `id`, because their ids differ. (The answer of the example's model was written by hand.)",
            rows=INTERVIEWS,
            earlier=[_ONE_TOPIC],
            answer=ANSWER,
        ),
        Example(
            'Joined with "and", without a model',
            {"merge_strategy": "concat"},
            "This is the paper's baseline: it joins the instructions, and puts one answer after the other.",
            rows=INTERVIEWS,
            earlier=[_ONE_TOPIC],
        ),
    ],
    "quality_gate_filter": [
        Example(
            "One merge passes, the other does not",
            {"gamma": 1.0},
            "The merge about interviews scores above the mean of its parents, so it stays. The merge about rice does "
            "not, so its parents come back, with the reason. The first parent keeps the rejected merge, because it may "
            "have cost money.",
            rows=(*INTERVIEWS[:2], *RICE[:2]),
            earlier=[_TOPICS, _MERGED],
        ),
        Example(
            "A plain quality filter",
            {"min_score": 2.3},
            "Without merges, the gate filters rows by their own score, before the grouper or in a separate recipe.",
        ),
    ],
}


def run(name: str, example: Example) -> Shown:
    """Run an example, and return its input and output rows in the form of the operator's page.

    :param name: registry name of the operator.
    :param example: one of its examples.
    """
    operator = {getattr(ops, made)._name: getattr(ops, made) for made in ops.__all__}[name]
    dataset = NestedDataset(Dataset.from_list([dict(row) for row in example.rows]))
    for earlier, parameters in example.earlier:
        dataset = earlier(**parameters).run(dataset)
    before = _rows(dataset)
    with _server(example.answer) if example.answer else nullcontext() as server:
        # The same as in a recipe, except for the address of the example's server.
        own = {} if server is None else {"model_params": {"base_url": server.base_url}, "cache_path": None}
        if example.toy_model:
            own = {"scorer_params": {"hf_model": gpt2_folder()}}
        made = operator(**{**example.parameters, **own})
        after = made.run(dataset)
    return Shown(before, _rows(after))


def _server(answer: Mapping[str, str]) -> FakeLLMServer:
    # A request without a record is a request for the response to an instruction.
    return FakeLLMServer(answer=lambda body: json.dumps(answer) if parents_of(body) else answer["output"])


def _rows(dataset: Any) -> list[dict[str, Any]]:
    return [_shown_row(row) for row in dataset.to_list()]


def _shown_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row for a page: long texts are cut, numbers are rounded, and empty metadata is left out."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name == EMBEDDING:
            shown[name] = _each(value, lambda _: "(384 numbers as base64)")
        elif name in (META, STATS, BATCH_META):
            held = {key: part for key, part in (value or {}).items() if part not in (None, [], {})}
            shown[name] = {key: _shown_value(key, part) for key, part in held.items()}
        else:
            shown[name] = value
    return {name: value for name, value in shown.items() if not (name == STATS and not value)}


def _each(value: Any, show: Callable[[Any], Any]) -> Any:
    return [show(part) for part in value] if isinstance(value, list) else show(value)


def _shown_value(key: str, value: Any) -> Any:
    if key.endswith(MADE_BY):
        return "(a digest)"
    if key != lineage.PARENTS:
        return _short(value)
    parents = [{name: part for name, part in decode_row(text).items() if name != META} for text in value]
    return [_short(json.dumps(parent, ensure_ascii=False)) for parent in parents]


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, str) and len(value) > _SHOWN:
        return value[:_SHOWN] + " …"
    return value
