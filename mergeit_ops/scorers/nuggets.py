"""Whether a row helps a model with other rows if it is shown as a solved example: Nuggets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mergeit_ops.constraints import ANY_TEXT, FLAG, OPTIONAL_TEXT, Constraint, Number, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.nuggets import can_reach, gold_score, mean_gain, representatives
from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Need, Pool
from mergeit_ops.core.topics.clustering import default_fit_sample_size, fit_sample, fit_topics
from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.errors import ScorerError
from mergeit_ops.llm.losses import LossModel
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.progress import counted
from mergeit_ops.scorers.cut_rows import CutRows
from mergeit_ops.scorers.loss_settings import LossSettings

__all__ = ["Nuggets"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "anchors": OPTIONAL_TEXT,
    "num_anchors": Number(low=1, integer=True),
    "max_anchor_tokens": Number(low=2, integer=True),
    "max_demo_tokens": Number(low=1, integer=True, optional=True),
    "shot_separator": ANY_TEXT,
    "exclude_self": FLAG,
    "min_score": Number(low=0, high=1, optional=True),
}


@dataclass(frozen=True)
class _Anchor:
    """A row that examples may help with.

    :param sample: its texts.
    :param span: its tokens after an example; the loss is that of the response.
    :param zero: mean log-probability of the response without an example.
    """

    sample: Sample
    span: Span
    zero: float


class Nuggets:
    """The share of anchor rows whose responses become more likely to a model if a row precedes them as a solved
    example: the gold score of Nuggets (arXiv 2312.10302). A second measure, the mean gain in log-probability per token,
    breaks ties.

    With your own anchors, from the task that you train the model for, it selects rows for this task. It favours long
    responses in the style of the anchors.

    The model reads the example once, and the anchors after it in batches. The released code puts BOS before examples
    but not before anchors alone, which inflates the score; here both have the same start.

    :param anchors: a file or folder of rows to help with, JSON Lines, JSON, CSV or parquet, in any sample format; None:
        the rows nearest to `num_anchors` centres of k-means over the instructions of the dataset.
    :param num_anchors: number of centres, at least 1; the paper uses 100.
    :param max_anchor_tokens: most tokens of an anchor, at least 2 and at most half of the model's window. The end of a
        longer response is cut. An anchor whose instruction alone is longer is left out.
    :param max_demo_tokens: most tokens of an example; the beginning of a longer one is cut. None: as many as the model
        can read.
    :param shot_separator: the text between example and anchor; the released code has none.
    :param exclude_self: whether an anchor with the same texts as the row does not count in the row's score.
    :param min_score: if set, a row is given up as soon as its gold score cannot reach this value any more; it has no
        score (`below_min_score`). This saves time. The scores of other rows do not change.
    :param hf_model: causal language model: a name on the Hugging Face Hub, or the path of a folder. The paper takes the
        model to be trained; the default is a small one. For a model that is not public, set the environment variable
        HF_TOKEN.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`.
    :param prompt: the text around instruction and response: `plain`, `alpaca` or `vicuna`; see `response_loss`.
    :param start_token: the token before each text: `bos`, `eos` or `released`; see `response_loss`.
    :param max_length: most tokens of a text (example and anchor together), at least 4; the model's window if that is
        smaller.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :param cache_path: file or folder of the journal of losses, from which a run continues after it was killed; `auto`:
        `losses.sqlite3` in the cache folder; null: no journal.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {"gold_score": "nuggets_gold_score", "mean_gain": "nuggets_mean_gain"}
    model_step: ClassVar[Literal["prepare", "score"]] = "score"

    def __init__(
        self,
        *,
        anchors: str | None = None,
        num_anchors: int = 100,
        max_anchor_tokens: int = 200,
        max_demo_tokens: int | None = None,
        shot_separator: str = "\n\n",
        exclude_self: bool = True,
        min_score: float | None = None,
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        prompt: str = "plain",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
        cache_path: str | None = CACHE_AUTO,
    ) -> None:
        constraints = {**_CONSTRAINTS, "max_length": Number(low=4, integer=True)}
        check(constraints, locals(), "nuggets")
        self._settings = LossSettings(
            "nuggets", hf_model, model_params, dtype, prompt, start_token, max_length, device, cache_path
        )
        self.device = device
        self.target_path = anchors
        self.num_anchors = int(num_anchors)
        self.max_anchor_tokens = int(max_anchor_tokens)
        self.max_demo_tokens = max_demo_tokens
        self.shot_separator = shot_separator
        self.exclude_self = exclude_self
        self.min_score = min_score
        self.cut_rows = CutRows("nuggets", "the end of the example")

    @property
    def needs(self) -> frozenset[Need]:
        """Return what the scorer needs to know; with anchors from a file, it needs no embeddings."""
        return frozenset({"vectors", "samples", "row_ids"} if self.target_path is None else {"target_samples"})

    def identity(self) -> Mapping[str, Any]:
        """See `PoolScorer`. The anchors are not included, because they come from the whole set."""
        names = ("num_anchors", "max_anchor_tokens", "max_demo_tokens", "shot_separator", "exclude_self", "min_score")
        own = {name: getattr(self, name) for name in names}
        return {**self._settings.identity(), **own, "anchors": self.target_path}

    def prepare(self, pool: Pool) -> Sequence[tuple[Sample, ...]]:
        """See `PoolScorer`: the anchors, the same for all rows.

        :raises ScorerError: if no anchor has a response.
        """
        found = pool.target_samples if self.target_path is not None else self._central(pool)
        anchors = tuple(dict.fromkeys(sample for sample in found if sample.output.strip() and sample.query.strip()))
        if not anchors:
            where = "the dataset" if self.target_path is None else f"anchors, {self.target_path}"
            raise ScorerError(f"nuggets needs anchors with an instruction and a response, but {where} has none.")
        return [anchors] * len(pool.vectors)

    def _central(self, pool: Pool) -> list[Sample]:
        # Sorted by id, so that the order of the rows has no influence.
        sample = fit_sample(pool.row_ids, default_fit_sample_size(self.num_anchors))
        topics = fit_topics(pool.vectors[sample], self.num_anchors, pca_variance=None, seed=0)
        return [pool.samples[row] for row in representatives(pool.vectors, topics.kmeans.cluster_centers_)]

    def score(self, samples: Sequence[Sample], known: Sequence[tuple[Sample, ...]]) -> list[tuple[Score, ...]]:
        """See `PoolScorer`.

        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        :raises ScorerError: if no anchor fits into `max_anchor_tokens`.
        """
        if not samples:
            return []
        model = self._settings.load()
        anchors = self._anchors(model, known[0])
        longest = max((len(anchor.span.tokens) for anchor in anchors), default=1)
        start = model.start(self._settings.start_token)
        room = self._settings.most_tokens(model) - len(start) - longest
        if self.max_demo_tokens is not None:
            room = min(room, int(self.max_demo_tokens))
        template = self._settings.template
        demos = model.tokens([template.before_response(sample) + sample.output for sample in samples])
        (separator,) = model.tokens([self.shot_separator])
        found: list[tuple[Score, ...]] = []
        rows = counted(zip(samples, demos, strict=True), len(samples), "nuggets", "rows")
        for sample, demo in rows:
            if not sample.output.strip():
                found.append((Score.missing("empty_response"),) * 2)
                continue
            others = [anchor for anchor in anchors if not (self.exclude_self and anchor.sample == sample)]
            example = [*demo, *separator]
            self.cut_rows.note(len(example) > room)
            found.append(self._scores(model, [*start, *example[-room:]], others))
        return found

    def _scores(self, model: LossModel, before: Sequence[int], anchors: Sequence[_Anchor]) -> tuple[Score, ...]:
        """Return the scores of an example.

        :param before: token ids of the example.
        :param anchors: anchors that the example may help with.
        """
        if not anchors:
            return (Score.missing("no_anchor"),) * 2
        zero: list[float] = []
        one: list[float] = []
        read = model.read(before)
        lengths = [len(anchor.span.tokens) for anchor in anchors]
        for batch in batches_of_like_lengths(lengths, most_tokens=model.most_tokens):
            asked = [anchors[number] for number in batch]
            zero += [anchor.zero for anchor in asked]
            one += [-loss for loss in model.mean_losses_behind(read, [anchor.span for anchor in asked])]
            if self.min_score is not None and not can_reach(zero, one, len(anchors), self.min_score):
                return (Score.missing("below_min_score"),) * 2
        if not all(map(math.isfinite, one)):
            return (Score.missing("not_finite"),) * 2
        return Score(gold_score(zero, one)), Score(mean_gain(zero, one))

    def _anchors(self, model: LossModel, samples: Sequence[Sample]) -> list[_Anchor]:
        """Return the anchors that fit, with the likelihood of their responses without an example."""
        start = model.start(self._settings.start_token)
        most = min(self.max_anchor_tokens, (self._settings.most_tokens(model) - len(start)) // 2)
        prompts = model.tokens([self._settings.template.before_response(sample) for sample in samples])
        responses = model.tokens([sample.output for sample in samples])
        spans = {
            sample: Span((*prompt, *response)[:most], len(prompt))
            for sample, prompt, response in zip(samples, prompts, responses, strict=True)
            if 0 < len(prompt) < most and response
        }
        if not spans:
            raise ScorerError(
                f"nuggets: the instruction of every anchor fills all {most} tokens that an anchor may have, so no "
                "response is left to score; raise max_anchor_tokens, or give shorter anchors."
            )
        alone = [Span((*start, *span.tokens), len(start) + span.first) for span in spans.values()]
        losses = model.mean_losses(alone)
        return [
            _Anchor(sample, span, -loss)
            for (sample, span), loss in zip(spans.items(), losses, strict=True)
            if math.isfinite(loss)
        ]
