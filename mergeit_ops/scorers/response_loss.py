"""How hard a causal language model finds each response: IFD and perplexity, from one set of forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any

from mergeit_ops.constraints import (
    MAPPING,
    Constraint,
    OneOf,
    SomeOf,
    check,
)
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.scoring.loss_prompts import ASKS_BACK, LOSS_PROMPTS, question_text
from mergeit_ops.core.scoring.response_loss import (
    MEASURES,
    NEEDS,
    TURNS,
    UPD,
    Span,
    TokenTurn,
    measured_over,
    question_spans,
    turn_spans,
)
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.losses import LossModel
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.scorers.cut_rows import CutRows, CutsRows
from mergeit_ops.scorers.loss_settings import LossSettings
from mergeit_ops.scorers.loss_template import loss_template, no_ratio

__all__ = ["ResponseLossScorer"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "measures": SomeOf(MEASURES),
    "turns": OneOf(TURNS),
    "prompt": OneOf((*LOSS_PROMPTS, "chat", "custom")),
    "prompt_template": MAPPING,
}


class ResponseLossScorer(CutsRows):
    """Scores rows by the losses of a causal language model. The model loads at the first `score`, once per process.

    `ifd` is the score of Superfiltering: the perplexity of the response given the instruction, divided by the
    perplexity of the response alone. Below 1 the instruction helps; close to 1 it helps little. `ifd_loss_ratio` is
    Cherry's ratio of the losses instead of the perplexities. `reverse_ifd` is the perplexity of the instruction given
    the response, divided by the perplexity of the instruction alone: the lower it is, the more the response determines
    its instruction (Selective Reflection-Tuning). `upd` is high if the model was sure of its next tokens and wrong
    (D3). `perplexity` is that of the response given the instruction, and `sample_perplexity` is that of instruction and
    response as one text.

    In a conversation every turn of the assistant counts, with its loss given all turns before it and its loss alone.
    The model reads a conversation once for all turns. All text between two answers, from the user or a tool, is one
    question. A turn of the assistant without text, such as one that only calls a tool, has no loss. Only `chat`
    includes the system prompt, at the beginning. `reverse_ifd` reads each question with its own answer.
    `sample_perplexity` is that of the whole conversation.

    :param measures: names of the measures, at least one; the first is the score. All of them come from the same
        forward passes.
    :param hf_model: causal language model: a name on the Hugging Face Hub or the path of a folder. The default is
        Superfiltering's, with 124M parameters. For a model that is not public, set the environment variable HF_TOKEN.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, or `bfloat16` or `float16`, which halve the memory of large
        models on a GPU.
    :param prompt: the text around instruction and response. `plain`: each on its own line, as in Superfiltering;
        `alpaca`; `vicuna`; `chat`: the model's own chat template; or `custom`. A template that the model does not know
        raises every IFD above 1, so that no row seems worth keeping. Use `plain` for a base model.
    :param prompt_template: for `custom`: the texts `without_input`, `with_input`, `alone`, for `reverse_ifd` `reverse`
        and `reverse_alone`, and for conversations `later`, the text between a response and the next one (default: a
        blank line and `without_input`). The texts have the fields `{instruction}`, `{input}` and `{response}`.
    :param turns: how the turns of a conversation become one measure: `mean` computes it from the mean losses over the
        tokens of all turns; `max` takes the largest measure of a turn.
    :param start_token: the token before each text. `bos`: the tokenizer's BOS, or its EOS if it has no BOS; `eos`;
        `released`: what the tokenizer adds by default. GPT-2's tokenizer adds nothing, so the first token of a response
        alone has no loss, and the two means of an IFD cover different tokens. Superfiltering's released code computes
        it this way; the difference is large for short responses.
    :param max_length: most tokens of a text, at least 2; the model's window if that is smaller. The end of a longer
        response is cut, and the turns after it are left out.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :param cache_path: file or folder of the journal of losses, from which a run continues after it was killed; `auto`:
        `losses.sqlite3` in the cache folder; null: no journal.
    :raises RecipeError: if a parameter cannot work.
    """

    def __init__(
        self,
        *,
        measures: Sequence[str] = ("ifd",),
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        prompt: str = "plain",
        prompt_template: Mapping[str, str] | None = None,
        turns: str = "mean",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
        cache_path: str | None = CACHE_AUTO,
    ) -> None:
        check(_CONSTRAINTS, locals(), "response_loss")
        self.measures = {name: MEASURES[name] for name in measures}
        self.no_ratio = no_ratio(measures[0])
        # It has more prompts than the other scorers by losses.
        self._settings = LossSettings(
            "response_loss",
            hf_model,
            model_params,
            dtype,
            start_token=start_token,
            max_length=max_length,
            device=device,
            cache_path=cache_path,
        )
        self.cut_rows = CutRows("response_loss")
        self.prompt = prompt
        self.turns = turns
        self._template = loss_template("response_loss", prompt, prompt_template, "reverse_ifd" in measures)

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        template = {} if self._template is None else asdict(self._template)
        return {**self._settings.identity(), "prompt": self.prompt, "template": template, "turns": self.turns}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by the first measure; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure; the scores of a row depend on the rows around it only by float noise.

        :param samples: n rows.
        :return: n tuples with a score for each measure. A row without a score has `empty_response`,
            `response_too_short`, `instruction_too_long` or `not_finite`.
        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        if not samples:
            return []
        model = self._settings.load()
        rows = self._spans(model, samples)
        asked = [span for turns in rows if not isinstance(turns, str) for spans in turns for span in spans.values()]
        losses = iter(model.losses(asked, surprise=any(map(_is_surprise, self._needed))))
        return [self._scores(turns, losses) for turns in rows]

    @property
    def _needed(self) -> list[str]:
        return list(dict.fromkeys(name for measure in self.measures for name in NEEDS[measure]))

    def _scores(
        self, turns: Sequence[Mapping[str, Span]] | str, losses: Iterator[tuple[float, float]]
    ) -> tuple[Score, ...]:
        if isinstance(turns, str):
            return (Score.missing(turns),) * len(self.measures)
        found: list[dict[str, float]] = []
        for spans in turns:
            found.append({})
            for name in spans:
                found[-1][name], found[-1][name + UPD] = next(losses)
        tokens = [{name: span.count for name, span in spans.items()} for spans in turns]
        return tuple(measured_over(measure, found, tokens, self.turns) for measure in self.measures)

    def _spans(self, model: LossModel, samples: Sequence[Sample]) -> list[list[dict[str, Span]] | str]:
        """Return, for each turn of each sample, the spans that the measures need, or why there are none."""
        needed = {name.removesuffix(UPD) for name in self._needed}
        rows = [self._texts(model, sample) for sample in samples]
        turns = [turn for row in rows for turn in row]

        def tokens(of: Callable[[_TurnTexts], str]) -> list[list[int]]:
            return model.tokens(list(map(of, turns)))

        before, alone, responses = (tokens(attrgetter(name)) for name in ("before", "alone", "response"))
        if "question_given" in needed:
            names = ("question_before", "question_alone", "question")
            backwards, alone_backwards, questions = (tokens(attrgetter(name)) for name in names)
        most = self._settings.most_tokens(model)
        start = [] if self.prompt == "chat" and model.writes_start else model.start(self._settings.start_token)
        found: list[list[dict[str, Span]] | str] = []
        first = 0
        for row in rows:
            numbers = range(first, first + len(row))
            first += len(row)
            given = [TokenTurn(before[number], responses[number], turns[number].continues) for number in numbers]
            spans = turn_spans(given, start, most, alone[numbers.start])
            if isinstance(spans, str):
                found.append(spans)
                continue
            cut = (
                "given" in of_turn and of_turn["given"].count < len(turn.response)
                for of_turn, turn in zip(spans, given, strict=False)
            )
            self.cut_rows.note(len(spans) < len(given) or any(cut))
            for number, of_turn in zip(numbers, spans, strict=False):  # turns that are cut off have none
                if of_turn and "question_given" in needed:
                    of_turn |= question_spans(
                        backwards[number], questions[number], start, most, alone_backwards[number]
                    )
            found.append([{name: span for name, span in of_turn.items() if name in needed} for of_turn in spans])
        return found

    def _texts(self, model: LossModel, sample: Sample) -> list[_TurnTexts]:
        """Return the texts of each turn, at least one."""
        rounds = sample.rounds or (Round(question_text(sample), sample.output),)
        alone, befores = self._before_responses(model, sample)
        found = []
        for number, (question, answer) in enumerate(rounds):
            before, continues = befores[number]
            question_before, question_alone = self._before_question(model, sample, question, answer)
            response = answer if answer.strip() else ""
            found.append(_TurnTexts(before, response, continues, alone, question, question_before, question_alone))
        return found

    def _before_responses(self, model: LossModel, sample: Sample) -> tuple[str, list[tuple[str, bool]]]:
        """Return the text before a response alone, and the text before each response, with whether it continues the
        response before it."""
        template, rounds = self._template, sample.rounds
        if template is not None:
            if not rounds:
                return template.alone, [(template.before_response(sample), False)]
            first = Sample(rounds[0].question, "", rounds[0].answer, sample.system)
            later = [(template.before_later_response(question), True) for question, _ in rounds[1:]]
            return template.alone, [(template.before_response(first), False), *later]
        if not rounds:
            given, alone = model.chat_texts(question_text(sample), sample.system)
            return alone, [(given, False)]
        _, alone = model.chat_texts(rounds[0].question, sample.system)
        prompts = model.chat_prompts(rounds, sample.system)
        befores = [(prompts[0], False)]
        for prompt, (_, answer), whole in zip(prompts, rounds, prompts[1:], strict=False):
            # Templates may change earlier turns, for example leave out their thoughts.
            known = prompt + answer
            befores.append((whole[len(known) :], True) if whole.startswith(known) else (whole, False))
        return alone, befores

    def _before_question(self, model: LossModel, sample: Sample, question: str, answer: str) -> tuple[str, str]:
        """Return the text before a question with its answer, and before the question alone; both empty if no measure
        needs them."""
        if "reverse_ifd" not in self.measures:
            return "", ""
        if self._template is None:
            return model.chat_texts(f"{ASKS_BACK}\n\n{answer}")
        of_turn = Sample(question, "", answer, sample.system) if sample.rounds else sample
        return self._template.before_question(of_turn), self._template.reverse_alone


@dataclass(frozen=True)
class _TurnTexts:
    """The texts around an answer.

    :param before: the text before the answer.
    :param response: the answer.
    :param continues: see `TokenTurn`.
    :param alone: the text before the answer without its question.
    :param question: the question of the answer.
    :param question_before: the text before the question, with the answer.
    :param question_alone: the same without the answer.
    """

    before: str
    response: str
    continues: bool
    alone: str
    question: str
    question_before: str
    question_alone: str


def _is_surprise(name: str) -> bool:
    return name.endswith(UPD)
