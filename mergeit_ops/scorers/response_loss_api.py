"""How hard a language model on a server finds each response: IFD and perplexity, from prompt log-probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from mergeit_ops.constraints import ANY_TEXT, MAPPING, Constraint, OneOf, SomeOf, check
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS, LossPrompt, question_text
from mergeit_ops.core.scoring.prompt_tokens import ACROSS_BORDER, TextLosses, losses_of
from mergeit_ops.core.scoring.response_loss import MEASURES, NEEDS, TURNS, measured_over
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.text.counts import agree
from mergeit_ops.errors import RecipeError, TooManyFailuresError
from mergeit_ops.llm.engine import build_prompt_logprobs_engine, told_of_answers
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest
from mergeit_ops.llm.settings import LLMSettings, takes_settings
from mergeit_ops.scorers.llm_scorer import AskingScorer
from mergeit_ops.scorers.loss_template import loss_template, no_ratio

__all__ = ["ResponseLossApiScorer"]

_OWNER = "response_loss_api"
_CONSTRAINTS: Mapping[str, Constraint] = {
    "measures": SomeOf(MEASURES),
    "prompt": OneOf((*LOSS_PROMPTS, "custom")),
    "prompt_template": MAPPING,
    "start_text": ANY_TEXT,
    "turns": OneOf(TURNS),
}
_TOKENS_DIFFER = "tokens_differ"
_FIRST_ROWS = 20
"""Number of first rows that show whether the prompt suits the server's tokenizer."""
_REASONS = {FailureReason.TOO_LONG.value: "instruction_too_long"}
"""Maps a reason of the engine to the same reason in `response_loss`."""
_Text = tuple[str, str]


class ResponseLossApiScorer(AskingScorer["TextLosses | str"]):
    """Asks a server how likely it finds the tokens of each text; the scores are those of `response_loss`.

    The server must return log-probabilities of a prompt: `echo` with `logprobs` (vLLM, and llama-cpp-python with
    `logits_all`, its server's default) or `prompt_logprobs` (vLLM). The first answer shows which form it is. If the
    server returns none, like llama.cpp's own server, the run stops at the first row. Each text is requested once,
    whatever the number of measures: a row costs one call for `perplexity`, two for an IFD, and two more for
    `reverse_ifd`.

    Only the server has the tokenizer, so it reads prompt and response as one text, while `response_loss` joins their
    tokens. If a tokenizer separates words, numbers, signs and line breaks, like those of GPT-2, Llama 3 and Qwen, both
    give the same result. The two losses of an IFD always cover the same tokens. A row has no score if one token holds
    the end of the prompt and the beginning of the response (`token_across_border`), or if its response has other tokens
    after the prompt than alone (`tokens_differ`). If most of the first 20 rows have no score for these reasons, the run
    stops.

    The first token of a text has no log-probability. If the server adds BOS before it, it has one on vLLM, but not on
    llama-cpp-python. If the response alone needs this log-probability, set `start_text`, which is put before each text.

    In a conversation every turn of the assistant counts, as in `response_loss`. Each turn is a separate text with all
    turns before it. So a row of t turns costs t times the calls, and each later turn repeats the tokens of the earlier
    ones. A server that keeps prefixes, such as vLLM, computes these only once.

    Nothing is cut: the server refuses a text beyond its window, and the row has no score (`instruction_too_long`).

    It also takes the parameters of `LLMSettings`, except those of a chat or a local model.

    :param api_or_hf_model: name of the model on the server.
    :param api_endpoint: path below the base URL; None: `/completions`.
    :param measures: names of the measures, at least one; the first is the score. See `response_loss`. `upd` is not
        available: it needs the probabilities of the whole vocabulary, which no server returns.
    :param prompt: the text around instruction and response: `plain`, `alpaca`, `vicuna` or `custom`; see
        `response_loss`.
    :param prompt_template: the texts of `custom`; see `response_loss`.
    :param start_text: text before each text, as the server's tokenizer reads it; empty: only what the server adds. The
        text of the model's BOS or EOS, such as `<|endoftext|>` for GPT-2 and Qwen, is the `start_token` of
        `response_loss`. On llama-cpp-python the first token that is not BOS has no log-probability: use a line break or
        `</s>`, and put the text of BOS before it if the model's file does not add BOS.
    :param turns: how the turns of a conversation become one measure: `mean` computes it from the mean losses over the
        tokens of all turns; `max` takes the largest measure of a turn.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed and what was given.
    """

    @takes_settings("is_hf_model", "backend", "response_path", "sampling_params", "warm_up", "try_num")
    def __init__(
        self,
        *,
        api_or_hf_model: str,
        api_endpoint: str | None = None,
        measures: Sequence[str] = ("ifd",),
        prompt: str = "plain",
        prompt_template: Mapping[str, str] | None = None,
        start_text: str = "",
        turns: str = "mean",
        llm: Mapping[str, Any],
    ) -> None:
        if prompt == "chat":
            raise RecipeError(
                f"{_OWNER}: `prompt: chat` needs the model's chat template, which only the server has: write its texts "
                "as `prompt: custom`, or use response_loss."
            )
        check(_CONSTRAINTS, locals(), _OWNER)
        if "upd" in measures:
            raise RecipeError(
                f"{_OWNER}: the measure 'upd' needs the probabilities of all words at each token, and a server gives "
                "only a few: take it out of measures, or use response_loss."
            )
        self.measures = {name: MEASURES[name] for name in measures}
        self.no_ratio = no_ratio(measures[0])
        self.prompt, self.start_text, self.turns = prompt, start_text, turns
        template = loss_template(_OWNER, prompt, prompt_template, "reverse_ifd" in measures)
        self._template: LossPrompt = template or LOSS_PROMPTS["plain"]
        try:
            settings = LLMSettings(api_or_hf_model=api_or_hf_model, api_endpoint=api_endpoint, **llm)
            super().__init__(build_prompt_logprobs_engine(settings))
        except RecipeError as error:
            raise RecipeError(f"{_OWNER}: {error}") from error
        self._tokens: Counter[str] = Counter()

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {
            "prompt": self.prompt,
            "template": asdict(self._template),
            "start_text": self.start_text,
            "turns": self.turns,
        }
        return {**super().identity(), **own}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by the first measure; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure.

        :param samples: n rows. Those with a blank output are not asked about.
        :return: n tuples with a score for each measure. A row without a score has `empty_response`,
            `response_too_short`, `instruction_too_long`, `token_across_border`, `tokens_differ`, `not_finite`, or the
            engine's reason code: `api_failed`, `no_logprobs`, `budget`, ...
        :raises LLMUnavailableError: if no call can succeed, or the server returns no log-probabilities of prompts.
        :raises TooManyFailuresError: if more than `max_failure_ratio` of at least 20 rows, or of at least 20 texts,
            have failed.
        """
        scores: list[tuple[Score, ...]] = []
        first = max(0, _FIRST_ROWS - self._tokens.total())
        for part in (samples[:first], samples[first:]):
            texts = [self._texts(sample) for sample in part]
            self.ask(self._requests(texts), _known)
            found = [self._scores(row) for row in texts]
            self._judge(found)
            scores += found
        return scores

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """See `PlanningScorer`."""
        return self._engine.plan(self._requests([self._texts(sample) for sample in samples]).values())

    def _requests(self, texts: Sequence[Sequence[Mapping[str, _Text]]]) -> dict[str, LLMRequest[TextLosses]]:
        return dict(self._request(*text) for row in texts for turn in row for text in turn.values())

    def _texts(self, sample: Sample) -> list[dict[str, _Text]]:
        """Return the texts of each turn by the names of their losses. Each is the text before, and the text that is
        scored.

        Turns without text are left out, so the list may be empty.
        """
        template, found = self._template, list[dict[str, _Text]]()
        before = ""
        for number, (question, answer) in enumerate(sample.rounds or (Round(question_text(sample), sample.output),)):
            turn = Sample(question, "", answer, sample.system) if sample.rounds else sample
            before += template.before_later_response(question) if number else template.before_response(turn)
            if answer.strip():
                found.append(self._texts_of_turn(turn, question, before, answer))
                before += answer
        for texts in found[:-1]:
            texts.pop("whole", None)
        return found

    def _texts_of_turn(self, turn: Sample, question: str, before: str, answer: str) -> dict[str, _Text]:
        # The response alone comes first, so that the first answer shows whether a text alone has all its losses.
        texts = {
            "alone": (self._template.alone, answer),
            "given": (before, answer),
            "whole": (before, answer),
        }
        if question:
            texts["question_alone"] = (self._template.reverse_alone, question)
            texts["question_given"] = (self._template.before_question(turn), question)
        needed = {name for measure in self.measures for name in NEEDS[measure]}
        return {name: text for name, text in texts.items() if name in needed}

    def _request(self, before: str, behind: str) -> tuple[str, LLMRequest[TextLosses]]:
        contents = (self.start_text + before, behind)
        messages = tuple({"role": "user", "content": content} for content in contents)
        parse = partial(losses_of, start=self.start_text, before=before, behind=behind)
        return prompt_sha256(messages), LLMRequest(tag=None, messages=messages, parse=parse, completion_tokens=1)

    def _scores(self, turns: Sequence[Mapping[str, _Text]]) -> tuple[Score, ...]:
        if not turns:
            return (Score.missing("empty_response"),) * len(self.measures)
        known = [{name: self._known[self._request(*text)[0]] for name, text in texts.items()} for texts in turns]
        return tuple(_score(measure, known, self.turns) for measure in self.measures)

    def _judge(self, rows: Sequence[Sequence[Score]], at_end: bool = False) -> None:
        """Stop if too many rows have no score because of how their texts are split into tokens."""
        for scores in rows:
            statuses = [score.status for score in scores]
            self._tokens[next((name for name in statuses if name in (ACROSS_BORDER, _TOKENS_DIFFER)), "")] += 1
        rows_seen = self._tokens.total()
        without = rows_seen - self._tokens[""]
        enough = rows_seen >= _FIRST_ROWS or (at_end and without == rows_seen)
        settings = self._engine.settings
        if not without or not enough or without <= settings.max_failure_ratio * rows_seen:
            return
        reasons = ", ".join(f"{name}: {count}" for name, count in sorted(self._tokens.items()) if name)
        error = TooManyFailuresError(
            f"{without} of {rows_seen} rows {agree(without, 'has', 'have')} no score because of how the server splits "
            f"texts into tokens ({reasons}), more than max_failure_ratio={settings.max_failure_ratio} allows: put the "
            r'same sign before a response with and without its instruction, such as start_text: "\n" for prompt: plain.'
        )
        raise told_of_answers(error, self._engine.total.as_dict(), journal=settings.cache_path is not None)

    def finish(self) -> None:
        """Finish the work after the last row.

        :raises TooManyFailuresError: if there are fewer than 20 rows and all of them have failed.
        """
        super().finish()
        self._judge((), at_end=True)


def _known(outcome: LLMOutcome[TextLosses]) -> TextLosses | str:
    if outcome.error is None:
        return outcome.answers[0]
    return _REASONS.get(str(outcome.error), str(outcome.error))


def _score(measure: str, turns: Sequence[Mapping[str, TextLosses | str]], over: str) -> Score:
    """Return the measure of a row from its turns, or why there is none."""
    means: list[dict[str, float]] = []
    counts: list[dict[str, int]] = []
    for known in turns:
        means.append({})
        counts.append({})
        tokens: set[str] = set()
        for name in NEEDS[measure]:
            if name not in known:
                continue
            losses = known[name]
            loss = losses if isinstance(losses, str) else losses.whole if name == "whole" else losses.behind
            if isinstance(losses, str) or isinstance(loss, str):
                return Score.missing(str(loss))
            means[-1][name], counts[-1][name] = loss, losses.count
            tokens.add(losses.tokens)
        if len(tokens) > 1:
            return Score.missing(_TOKENS_DIFFER)
    return measured_over(measure, means, counts, over)
