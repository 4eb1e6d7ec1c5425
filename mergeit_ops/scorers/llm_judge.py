"""A language model that judges rows by rubrics, over any OpenAI-compatible server or through transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import fmean
from typing import Any

from mergeit_ops.constraints import (
    FLAG,
    NAMES,
    NUMBER_PAIR,
    OPTIONAL_TEXT,
    Constraint,
    Number,
    OneOf,
    SomeOf,
    check,
)
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JudgeQuestion, questions_of
from mergeit_ops.core.scoring.rubrics import JUDGE, RUBRICS, WAVECODER, Rubric, Scale, own_rubric, with_checklist
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import LLMEngine, build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings, takes_settings
from mergeit_ops.scorers.llm_scorer import LLMScorer

__all__ = ["LLMJudgeScorer"]

_NAME = "llm_judge"
_SEVERAL_TEMPERATURE = 0.7
_CONSTRAINTS: Mapping[str, Constraint] = {
    "rubric": OPTIONAL_TEXT,
    "scale": NUMBER_PAIR,
    "checklist": NAMES,
    "reasons": FLAG,
    "parse": OneOf(("lenient", "strict")),
    "one_call": FLAG,
    "n": Number(low=1, integer=True),
}


class LLMJudgeScorer:
    """Asks a model to score rows by one or several rubrics.

    The built-in rubric, `judge`, gives 1 to 6, the scale of the Deita scorers, for helpfulness, accuracy, completeness
    with regard to every demand of the task, and clarity. The answer is a JSON object with the reason first.

    The other rubrics follow published prompts, in our own words. `alpagasus_accuracy` and `alpagasus_helpfulness` give
    0 to 5 (arXiv 2307.08701), `lift` 0 to 100 points (2312.11508), `humpback` 1 to 5 in whole numbers (2308.06259), and
    `tree_nodes` the number of nodes of the instruction's semantic tree (2308.05696). `wavecoder` is a checklist of five
    questions about a row of code (2312.14187). `grounded_task` is a checklist of three questions about a task that was
    made from a text. The text is the one that `backtranslation_mapper` keeps in the metadata and `sample_score_filter`
    reads; without it, the text in `input` or in the column that `query_key` names. The score of a checklist is the
    share of yes; its second measure, `<name>_pass`, is 1 if all answers are yes and 0 otherwise. An unanswered question
    counts as no.

    Each rubric has its own stats, `<name>_score`. Your own rubric has those of `judge`. `quality_gate_filter` and
    `cascade` use the score of the first rubric. The gate refuses checklists and `tree_nodes`.

    If a reply does not have the rubric's form, or its number is not on the scale, the model is asked again, up to
    `try_num` times. After that the row has no score, never a default.

    Judges have known biases. The order of answers has no influence here, because each row is judged alone. But models
    tend to favour longer answers, such as merges, and answers of models of their own family. The built-in rubric says
    that length earns nothing, which reduces the first bias. To avoid the second, take a judge from another family than
    the merging model.

    It also takes the parameters of `LLMSettings`. If `sampling_params` is None, the temperature is 0, or 0.7 when `n`
    is above 1. At temperature 0 a second answer is often the same as the first.

    :param rubric: name of a rubric, or your own text in place of the built-in rubric: what to weigh, and a line for
        each level of the scale; None: `judge`.
    :param rubrics: names of several rubrics, in place of `rubric`; None: only `rubric`.
    :param scale: lowest and highest score of your own text; None: 1 and 6.
    :param checklist: your own yes-or-no questions for `wavecoder`; None: its five questions about code.
    :param reasons: whether the judge gives its reasons; false: it gives only numbers, or only yes and no, which saves
        most of the tokens that it writes.
    :param parse: how to read the number on the first line of a reply. It applies to the two rubrics of AlpaGasus, to
        `lift` and `tree_nodes` and, with `reasons: false`, to all rubrics except checklists. `lenient`: the line may
        also have a label before the number, the form x/5, or other words around one number; `strict`: the line must be
        the number, as in AlpaGasus's released code.
    :param one_call: whether one call asks for several rubrics. The reply is a JSON object with a key for each. If one
        score is missing, all are asked for again. Checklists, and rubrics that show the judge other fields of the row,
        have separate calls.
    :param n: judgements per row, at least 1, one call for each. The score is the mean of the judgements that could be
        read. They differ only by chance, so n above 1 needs a temperature above 0.
    :param accelerator: `cpu` or `cuda` for a local model; None takes a GPU if there is one.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed and what was given.
    """

    @takes_settings()
    def __init__(
        self,
        *,
        rubric: str | None = None,
        rubrics: Sequence[str] | None = None,
        scale: Sequence[float] | None = None,
        checklist: Sequence[str] | None = None,
        reasons: bool = True,
        parse: str = "lenient",
        one_call: bool = False,
        n: int = 1,
        accelerator: str | None = None,
        llm: Mapping[str, Any],
    ) -> None:
        check(_CONSTRAINTS, locals(), _NAME)
        chosen = _in_form(_chosen(rubric, rubrics, scale, checklist), reasons, parse, one_call)
        self.parse = parse
        self.n = int(n)
        try:
            engine = build_engine(
                LLMSettings(**llm),
                accelerator=accelerator,
                default_sampling_params={"temperature": 0 if self.n == 1 else _SEVERAL_TEMPERATURE},
            )
        except RecipeError as error:
            raise RecipeError(f"llm_judge: {error}") from error
        if self.n > 1 and engine.backend_factory.sampling_params.get("temperature") == 0:
            raise RecipeError(
                f"llm_judge: n must be 1 at temperature 0, where every judgement of a row is the same, got {n}; give a "
                "temperature above 0 in sampling_params."
            )
        self.measures: Mapping[str, str] = dict(chain.from_iterable(one.measures.items() for one in chosen))
        self.no_ratio = chosen[0].no_ratio
        self.scale = (chosen[0].scale.low, chosen[0].scale.high)
        self.reads_source = any(rubric.needs_source for rubric in chosen)
        self._askers = [_Asker(engine, question, self.n) for question in questions_of(chosen, one_call, reasons)]

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        row = Sample("", "", "")
        prompts = [prompt_sha256(asker.question.messages(row)) for asker in self._askers]
        known = {"prompt": prompts[0] if len(prompts) == 1 else prompts, "n": self.n}
        return {**self._askers[0].identity(), **known, **({} if self.parse == "lenient" else {"parse": self.parse})}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by the first measure, without the calls for other rubrics; see `LLMScorer`."""
        # The first question contains the first rubric.
        return [scores[0] for scores in self._askers[0].measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure.

        :param samples: n rows.
        :return: n tuples with a score for each of `measures`. If the judge was not asked about a row or gave no score,
            the row has a status as in `LLMScorer.score`, or `empty_source`.
        :raises LLMUnavailableError: if no call can succeed.
        :raises TooManyFailuresError: if more than `max_failure_ratio` of at least 20 requests have failed.
        """
        by_asker = [asker.measure(samples) for asker in self._askers]
        names = [name for asker in self._askers for name in asker.measures]
        places = [names.index(name) for name in self.measures]
        rows = [tuple(chain.from_iterable(parts)) for parts in zip(*by_asker, strict=True)]
        return [tuple(row[place] for place in places) for row in rows]

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """See `PlanningScorer`."""
        return self._askers[0].plan(samples)

    def engines(self) -> Sequence[LLMEngine]:
        """See `PayingScorer`."""
        return self._askers[0].engines()

    def finish(self) -> None:
        """See `ReportingScorer`."""
        self._askers[0].finish()

    def figures(self) -> Mapping[str, Any]:
        """See `ReportingScorer`: the figures of all rubrics, which share an engine."""
        return self._askers[0].figures()


class _Asker(LLMScorer):
    """Asks one question about each row, and reads the scores of its rubrics.

    :param engine: what answers.
    :param question: the question.
    :param n: judgements per row.
    """

    def __init__(self, engine: LLMEngine, question: JudgeQuestion, n: int) -> None:
        super().__init__(engine)
        self.question = question
        self.measures = [name for rubric in question.rubrics for name in rubric.measures]
        self._n = n

    def blank_reason(self, sample: Sample) -> str | None:
        """See `LLMScorer`."""
        return self.question.blank_reason(sample)

    def request(self, sample: Sample) -> LLMRequest[tuple[float, ...]]:
        """See `LLMScorer`."""
        return LLMRequest(
            tag=None,
            messages=self.question.messages(sample),
            parse=self.question.read,
            num_candidates=self._n,
            schema=self.question.schema,
            completion_tokens=self.question.tokens,
        )

    def value(self, answers: Sequence[tuple[float, ...]]) -> float:
        """See `LLMScorer`: the mean of the first measure."""
        return _means(answers)[0]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure of the question.

        :param samples: n rows.
        """
        found = self.answers(samples)
        missing = len(self.measures)
        return [
            (Score.missing(one),) * missing if isinstance(one, str) else tuple(map(Score, _means(one))) for one in found
        ]


def _means(answers: Sequence[tuple[float, ...]]) -> list[float]:
    return [fmean(values) for values in zip(*answers, strict=True)]


def _chosen(
    rubric: str | None, names: Sequence[str] | None, scale: Sequence[float] | None, checklist: Sequence[str] | None
) -> list[Rubric]:
    """Return the rubrics that a recipe asks for.

    :raises RecipeError: if they are not clear, or scale or checklist is given without its rubric.
    """
    if rubric is not None and names is not None:
        raise RecipeError(f"{_NAME}: rubric and rubrics mean the same; give one of them.")
    if names is not None:
        check({"rubrics": SomeOf(RUBRICS)}, {"rubrics": names}, _NAME)
    asked = list(names or [rubric or JUDGE.name])
    is_own = asked[0] not in RUBRICS
    if scale is not None and not is_own:
        raise RecipeError(
            f"{_NAME}: scale belongs to a rubric of your own; a named rubric has its scale. Give a text as rubric, or "
            "remove scale."
        )
    if checklist is not None and WAVECODER.name not in asked:
        raise RecipeError(
            f"{_NAME}: checklist belongs to the rubric {WAVECODER.name!r}; ask for it, or remove checklist."
        )
    if checklist is not None and not checklist:
        raise RecipeError(f"{_NAME}: checklist must have at least one question, or be null.")
    if is_own:
        return [_own(asked[0], scale)]
    known = RUBRICS if checklist is None else {**RUBRICS, WAVECODER.name: with_checklist(checklist)}
    return [known[name] for name in asked]


def _own(text: str, scale: Sequence[float] | None) -> Rubric:
    # Not all languages put spaces between words.
    if text.isascii() and len(text.split()) == 1:
        known = ", ".join(map(repr, RUBRICS))
        raise RecipeError(
            f"{_NAME}: there is no rubric {text!r}; rubric must be one of {known}, or a text of your own of more than "
            "one word."
        )
    if scale is None:
        return own_rubric(text)
    low, high = map(float, scale)
    try:
        return own_rubric(text, Scale(low, high))
    except ValueError as error:
        raise RecipeError(f"{_NAME}: scale: {error}.") from error


def _in_form(rubrics: Sequence[Rubric], reasons: bool, parse: str, one_call: bool) -> list[Rubric]:
    """Return rubrics with the form of reply that a recipe asks for.

    :raises RecipeError: if `parse` is `strict` and some replies are not read by their first line.
    """
    formed = [rubric if reasons else rubric.without_reasons() for rubric in rubrics]
    if parse == "lenient":
        return formed
    strict = [rubric.strict() for rubric in formed]
    shared = [question for question in questions_of(formed, one_call) if len(question.rubrics) > 1]
    others = [rubric.name for rubric, one in zip(formed, strict, strict=True) if one is None]
    others += [rubric.name for question in shared for rubric in question.rubrics if rubric.name not in others]
    if others:
        raise RecipeError(
            f"{_NAME}: parse: strict is for replies whose first line is the number, and a reply by "
            f"{', '.join(map(repr, others))} is of another form; use parse: lenient, or leave them out."
        )
    return [rubric for rubric in strict if rubric is not None]
