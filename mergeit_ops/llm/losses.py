"""Mean token losses of a Hugging Face causal language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.sample import Round
from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.core.text.characters import encodable
from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.chat_prompt import answer_heading, chat_prompt
from mergeit_ops.llm.huggingface import loaded_once
from mergeit_ops.llm.loss_journal import LossJournal
from mergeit_ops.llm.loss_passes import Losses, LossPasses
from mergeit_ops.progress import progress_bar

__all__ = ["START_TOKENS", "LossModel", "ReadText", "load_loss_model"]

START_TOKENS = ("bos", "eos", "released")
"""What can precede a text: a token of the tokenizer, or what the tokenizer adds by default."""


def load_loss_model(
    name: str, model_params: Mapping[str, Any], device: str, dtype: str, journal: LossJournal | None = None
) -> LossModel:
    """Return a model; load it if this process has not yet.

    :param name: name on the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    :param device: where it runs.
    :param dtype: of its weights.
    :param journal: journal of its losses on disk; None: they are not kept.
    :raises LLMUnavailableError: if it cannot be loaded.
    """
    key = repr(("losses", name, sorted(model_params.items(), key=repr), device, dtype))
    passes = loaded_once(key, lambda: LossPasses(name, model_params, device, dtype))
    return LossModel(passes, journal)


class ReadText:
    """A text before spans, which the model reads only once; see `LossModel.read`.

    :param tokens: its token ids.
    """

    def __init__(self, tokens: Sequence[int], passes: LossPasses) -> None:
        self.tokens = tuple(tokens)
        self._passes = passes
        self._is_read = False
        self._cache: Any | None = None

    @property
    def cache(self) -> Any | None:
        """The model's cache of the text; None if this model has none."""
        # Only computed when needed: if the journal has all losses, it is not needed.
        if not self._is_read:
            self._cache, self._is_read = self._passes.read(self.tokens), True
        return self._cache


class LossModel:
    """A causal language model that measures how likely texts are; see `load_loss_model`.

    :param passes: the model.
    :param journal: journal of its losses on disk; None: they are not kept.
    """

    def __init__(self, passes: LossPasses, journal: LossJournal | None = None) -> None:
        self.passes = passes
        self._journal = journal
        self._tokenizer = passes.tokenizer
        first = list(self._tokenizer("a", verbose=False)["input_ids"])[:1]
        self._own_start: list[int] = first if first and first[0] == self._tokenizer.bos_token_id else []

    @property
    def most_tokens(self) -> int:
        """Most tokens of a batch, including padding."""
        return self.passes.most_tokens

    @property
    def most_positions(self) -> int | None:
        """Most tokens that the model can read; None if it does not say."""
        return self.passes.most_positions

    def start(self, token: str) -> list[int]:
        """Return the token ids before a text.

        :param token: `released`: what the tokenizer adds, BOS or nothing; `bos`: BOS, or EOS if there is no BOS; `eos`:
            EOS, or BOS if there is no EOS.
        :raises LLMUnavailableError: if the tokenizer has neither.
        """
        if token == "released":
            return list(self._own_start)
        ids = [self._tokenizer.bos_token_id, self._tokenizer.eos_token_id]
        known = [number for number in (ids if token == "bos" else reversed(ids)) if number is not None]
        if not known:
            raise LLMUnavailableError(
                f"The tokenizer of the model {self.passes.name!r} has neither BOS nor EOS: set start_token to released."
            )
        return known[:1]

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, without special tokens."""
        if not texts:
            return []
        readable = [encodable(text) for text in texts]
        return [list(ids) for ids in self._tokenizer(readable, add_special_tokens=False, verbose=False)["input_ids"]]

    def chat_texts(self, question: str, system: str = "") -> tuple[str, str]:
        """Return the text before an answer in the model's own chat template, with the question and without it.

        :param question: the user's question.
        :param system: the system prompt; empty for none.
        :raises LLMUnavailableError: if the template fails.
        """
        turns = _chat((question,), system)
        return chat_prompt(self._tokenizer, turns, {}), answer_heading(self._tokenizer, turns)

    def chat_prompts(self, rounds: Sequence[Round], system: str = "") -> list[str]:
        """Return the text before each answer of a conversation in the model's own chat template.

        :param rounds: its questions and answers.
        :param system: the system prompt; empty for none.
        :raises LLMUnavailableError: if the template fails.
        """
        said = [text for part in rounds for text in part]
        return [chat_prompt(self._tokenizer, _chat(said[:last], system), {}) for last in range(1, len(said), 2)]

    @property
    def writes_start(self) -> bool:
        """Whether the chat template itself writes the start token."""
        return bool(self._tokenizer.chat_template)

    def mean_losses(self, spans: Sequence[Span]) -> list[float]:
        """Return the mean loss per token of each span, natural logarithm, in float32; see `losses`."""
        return [loss for loss, _ in self.losses(spans)]

    def losses(self, spans: Sequence[Span], surprise: bool = False) -> list[Losses]:
        """Return the mean loss per token of each span, natural logarithm, in float32, and its mean surprise.

        The surprise of a token is sigmoid(loss) * max(0, 1 - H / ln V), with H the entropy of the model's prediction
        over its V words: high if the model was sure and wrong (UPD of D3, arXiv 2503.11441).

        Spans of the same tokens are read in one pass. Texts of similar length share a batch, the longest first, so that
        a lack of memory shows at once. Losses in the journal are not computed again, and new losses are in the journal
        before the next batch begins.

        :param spans: n spans.
        :param surprise: whether the surprise is wanted; otherwise it is NaN.
        :raises LLMUnavailableError: if one text alone does not fit into memory.
        """
        found = self._stored(spans, surprise)
        texts: dict[tuple[int, ...], list[int]] = {}
        for number, span in enumerate(spans):
            if number not in found:
                texts.setdefault(span.tokens, []).append(number)
        numbers = list(texts.values())
        lengths = [max(spans[number].stop for number in of_text) for of_text in numbers]
        with progress_bar(len(spans), "losses", "texts") as bar:
            bar.update(len(found))
            for batch in batches_of_like_lengths(lengths, most_tokens=self.most_tokens):
                asked = [number for text in batch for number in numbers[text]]
                of_batch = [spans[number] for number in asked]
                losses = self.passes.of_batch(of_batch, surprise)
                self._store(of_batch, losses)
                found |= zip(asked, losses, strict=True)
                bar.update(len(asked))
        return [found[number] for number in range(len(spans))]

    def read(self, tokens: Sequence[int]) -> ReadText:
        """Prepare a text that is read only once, for `mean_losses_behind`.

        :param tokens: token ids, at least one.
        """
        return ReadText(tokens, self.passes)

    def mean_losses_behind(self, before: ReadText, spans: Sequence[Span]) -> list[float]:
        """Return the mean loss per token of each span after a text; see `losses`.

        :param before: the text before each span.
        :param spans: a batch of spans.
        :raises LLMUnavailableError: if one text alone does not fit into memory.
        """
        known = len(before.tokens)
        whole = [Span((*before.tokens, *span.tokens), known + span.first, known + span.stop) for span in spans]
        found = self._stored(whole, False)
        left = [number for number in range(len(spans)) if number not in found]
        if left and before.cache is None:
            found |= zip(left, self.losses([whole[number] for number in left]), strict=True)
        elif left:
            losses = self.passes.of_batch([spans[number] for number in left], False, (known, before.cache))
            self._store([whole[number] for number in left], losses)
            found |= zip(left, losses, strict=True)
        return [found[number][0] for number in range(len(spans))]

    def _stored(self, spans: Sequence[Span], surprise: bool) -> dict[int, Losses]:
        """Return the losses that the journal has, by number of the span."""
        return self._journal.get(spans, surprise) if self._journal is not None else {}

    def _store(self, spans: Sequence[Span], losses: Sequence[Losses]) -> None:
        if self._journal is not None:
            self._journal.put(spans, losses)


def _chat(said: Sequence[str], system: str) -> list[dict[str, str]]:
    """Return a conversation that starts with the user as chat turns."""
    turns = [{"role": "system", "content": system}] if system.strip() else []
    return turns + [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(said)]
