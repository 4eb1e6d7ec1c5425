"""Whether a similar solved row helps a model with a row: MIWV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mergeit_ops.constraints import ANY_TEXT, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.nearest_neighbour import nearest_neighbours
from mergeit_ops.core.scoring.one_shot import ShotSpans, shot_spans
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Need, Pool
from mergeit_ops.core.text.counts import many
from mergeit_ops.llm.losses import LossModel
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.scorers.cut_rows import CutRows
from mergeit_ops.scorers.loss_settings import LossSettings
from mergeit_ops.scorers.pool import check_pairwise

__all__ = ["Miwv", "Neighbour"]

_SAME = 1 - 1e-5


@dataclass(frozen=True)
class Neighbour:
    """The nearest other row of a row.

    :param sample: its texts.
    :param row_id: its id.
    :param similarity: cosine of the two.
    :param is_copy: whether both have the same texts.
    """

    sample: Sample
    row_id: str
    similarity: float
    is_copy: bool


class Miwv:
    """How much worse a model predicts the response if the nearest other row precedes it as a solved example: the loss
    with the example minus the loss without it (MIWV, arXiv 2511.07074).

    High values show weaknesses of the model, on which it should be trained. Wrong, truncated or off-topic answers have
    high values too, so clean the data first. An exact copy contains the answer, so all copies have the lowest values:
    deduplicate first. Every row is compared with every other, so there may be at most 200,000 rows.

    The neighbour is the nearest by instruction and input. If a text exceeds `max_length`, the beginning of the example
    is cut first, then the end of the response. If no token of the example fits, there is no score (`demo_truncated`).

    :param hf_model: causal language model: a name on the Hugging Face Hub, or the path of a folder. The paper takes the
        model to be trained; the default is a small one. For a model that is not public, set the environment variable
        HF_TOKEN.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`.
    :param prompt: the text around instruction and response, also in the example: `plain`, `alpaca` or `vicuna`.
    :param shot_separator: the text between the example and the instruction. The paper does not name it.
    :param start_token: the token before each text: `bos`, `eos` or `released`; see `response_loss`.
    :param max_length: most tokens of a text, at least 2; the model's window if that is smaller.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :param cache_path: file or folder of the journal of losses, from which a run continues after it was killed; `auto`:
        `losses.sqlite3` in the cache folder; null: no journal.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {
        "miwv": "miwv",
        "zero_shot_loss": "miwv_zero_shot_loss",
        "one_shot_loss": "miwv_one_shot_loss",
        "similarity": "miwv_similarity",
    }
    needs: ClassVar[frozenset[Need]] = frozenset({"vectors", "samples", "row_ids"})
    model_step: ClassVar[Literal["prepare", "score"]] = "score"
    note_stats: ClassVar[Sequence[str]] = ("miwv_neighbour",)

    def __init__(
        self,
        *,
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        prompt: str = "plain",
        shot_separator: str = "\n\n",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
        cache_path: str | None = CACHE_AUTO,
    ) -> None:
        check({"shot_separator": ANY_TEXT}, locals(), "miwv")
        self._settings = LossSettings(
            "miwv", hf_model, model_params, dtype, prompt, start_token, max_length, device, cache_path
        )
        self.device = device
        self.shot_separator = shot_separator
        self.cut_rows = CutRows("miwv", "the part of the text")

    def identity(self) -> Mapping[str, Any]:
        """See `PoolScorer`."""
        return {**self._settings.identity(), "shot_separator": self.shot_separator}

    def prepare(self, pool: Pool) -> Sequence[Neighbour | None]:
        """See `PoolScorer`: the neighbours."""
        check_pairwise("miwv", len(pool.vectors))
        nearest, similarities = nearest_neighbours(pool.vectors)
        found: list[Neighbour | None] = []
        for row, (other, cosine) in enumerate(zip(nearest.tolist(), similarities.tolist(), strict=True)):
            if other < 0:
                found.append(None)
                continue
            sample = pool.samples[other]
            is_copy = cosine > _SAME and sample == pool.samples[row]
            found.append(Neighbour(sample, pool.row_ids[other], cosine, is_copy))
        return found

    def warning(self, known: Sequence[Neighbour | None]) -> str:
        """See `WarningPoolScorer`."""
        copies = sum(other is not None and other.is_copy for other in known)
        if not copies:
            return ""
        return (
            f"the miwv of {many(copies, 'row')} is low only because the nearest row is a copy that contains the "
            "answer. Deduplicate first."
        )

    def notes(self, known: Sequence[Neighbour | None]) -> list[tuple[str | None, ...]]:
        """See `NotingPoolScorer`: the id of the neighbour."""
        return [(None if other is None else other.row_id,) for other in known]

    def score(self, samples: Sequence[Sample], known: Sequence[Neighbour | None]) -> list[tuple[Score, ...]]:
        """See `PoolScorer`.

        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        if not samples:
            return []
        model = self._settings.load()
        spans = self._spans(model, samples, known)
        asked = [span for row in spans if isinstance(row, ShotSpans) for span in (row.zero, row.one) if span]
        losses = iter(model.mean_losses(asked))
        found: list[tuple[Score, ...]] = []
        for row, other in zip(spans, known, strict=True):
            missing = Score.missing("no_neighbour")
            similarity = missing if other is None else Score(other.similarity)
            if isinstance(row, str):
                found.append((*(Score.missing(row),) * 3, similarity))
                continue
            zero = next(losses)
            if row.one is None:
                reason = missing if other is None else Score.missing("demo_truncated")
                found.append((reason, Score(zero), reason, similarity))
            else:
                one = next(losses)
                found.append((Score(one - zero), Score(zero), Score(one), similarity))
        return found

    def _spans(
        self, model: LossModel, samples: Sequence[Sample], known: Sequence[Neighbour | None]
    ) -> list[ShotSpans | str]:
        template = self._settings.template
        prompts = model.tokens([template.before_response(sample) for sample in samples])
        responses = model.tokens([sample.output if sample.output.strip() else "" for sample in samples])
        demos = model.tokens(
            ["" if other is None else template.before_response(other.sample) + other.sample.output for other in known]
        )
        (separator,) = model.tokens([self.shot_separator])
        start, most = model.start(self._settings.start_token), self._settings.most_tokens(model)
        found = []
        for prompt, response, demo in zip(prompts, responses, demos, strict=True):
            found.append(spans := shot_spans(prompt, response, [*demo, *separator] if demo else [], start, most))
            if not isinstance(spans, str):
                whole = len(start) + len(demo) + (len(separator) if demo else 0) + len(prompt) + len(response)
                self.cut_rows.note(whole > most)
        return found
