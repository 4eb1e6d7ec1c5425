"""`distill --judge`: let a judge score a sample of rows, and train the `distilled` scorer on these scores."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.cli.terminal import say
from mergeit_ops.core.rows.identity import sample_digest
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.errors import DatasetError, RecipeError

if TYPE_CHECKING:
    from mergeit_ops.compare.reading import RowSet
    from mergeit_ops.core.sample import Sample
    from mergeit_ops.core.scoring.score import Score
    from mergeit_ops.scorers.judge import Judge
    from mergeit_ops.scorers.judged_sample import JudgedSample

__all__ = ["judge_params", "run_judged"]

_NAMED_ROWS = 5


def run_judged(options: argparse.Namespace) -> int:
    """Draw rows, print the price, call the judge, train, measure, and write the folder."""
    from mergeit_ops.scorers.judge import build_judge
    from mergeit_ops.scorers.judged_sample import LEAST_ROWS, MOST_ROWS, draw_sample

    if not LEAST_ROWS <= options.rows <= MOST_ROWS:
        raise DatasetError(f"--rows must be a number from {LEAST_ROWS} to {MOST_ROWS}, got {options.rows}.")
    judge = build_judge(options.judge, judge_params(options.judge_params))
    engines = _engines(judge)
    if not options.dry_run:
        for engine in engines:
            engine.check()
    samples, ids = _distinct_rows(options)
    if len(samples) < LEAST_ROWS:
        raise DatasetError(
            f"--data: '{options.data}' has {many(len(samples), 'different row')} that can be read; training and "
            f"measuring a scorer needs at least {LEAST_ROWS}."
        )

    from mergeit_ops.embedding import load_encoder

    encoder = load_encoder(options.embedding_model, dtype="float32")
    sample = draw_sample(samples, ids, options.rows, encoder.encode, options.seed)
    say(
        f"Sample: {len(sample.samples):,} of {sample.drawn_from:,} rows, spread over {many(sample.topics, 'topic')} "
        "and over response lengths."
    )
    _tell_price(judge, sample)
    if options.dry_run:
        say("This was a dry run: the judge was not called, and nothing was written.")
        return 0
    try:
        # Made before the calls, so that a folder that cannot be written does not cost money.
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"--output: the folder '{options.output}' cannot be created ({error}).") from error
    say(f"Asking {judge.name} about {len(sample.samples):,} rows ...", flush=True)
    scores = judge.scores(sample.samples)
    _tell_scores(judge, scores)
    return _train(options, judge, sample, scores)


def judge_params(text: str | None) -> dict[str, Any]:
    """Return the parameters of the judge.

    :param text: a mapping as JSON, or the path of a JSON or YAML file with a mapping; None: no parameters.
    :raises RecipeError: if it is neither.
    """
    import yaml

    if text is None:
        return {}
    source = text
    if not text.lstrip().startswith("{"):
        try:
            source = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise RecipeError(
                f'--judge-params must be a mapping such as \'{{"api_or_hf_model": "my-model"}}\', or a JSON or YAML '
                f"file with a mapping; '{text:.80}' is not a mapping, and cannot be read as a file ({error})."
            ) from error
    try:
        found = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise RecipeError(f"--judge-params cannot be read as JSON or YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise RecipeError(f"--judge-params must be a mapping of parameters, got {type(found).__name__}.")
    return found


def _distinct_rows(options: argparse.Namespace) -> tuple[list[Sample], list[str]]:
    """Return the rows without duplicates, and their ids; print which rows are left out."""
    from mergeit_ops.compare.reading import read_set

    layout: dict[str, Any] = {f"{key}_key": getattr(options, f"{key}_key") for key in _KEYS}
    found = read_set(options.data, {**layout, "name": options.sample_format})
    # The id of a duplicate has an ordinal.
    distinct = dict(zip(found.samples[::-1], (one.partition("-")[0] for one in found.ids[::-1]), strict=True))
    twice = len(found.samples) - len(distinct)
    again = f" Duplicates, which the judge scores once: {twice:,}." if twice else ""
    say(f"Data: {many(found.rows, 'row')} of '{options.data}'.{_without_text(found)}{again}")
    return list(distinct), list(distinct.values())


_KEYS = ("instruction", "query", "response")


def _without_text(found: RowSet) -> str:
    if not found.without_text:
        return ""
    first = ", ".join(map(str, found.without_text[:_NAMED_ROWS]))
    more = ", ..." if found.left_out > _NAMED_ROWS else ""
    return f" Left out for a missing instruction or response: {found.left_out:,} (rows {first}{more})."


def _engines(judge: Judge) -> Sequence[Any]:
    from mergeit_ops.scorers import PayingScorer

    return judge.scorer.engines() if isinstance(judge.scorer, PayingScorer) else ()


def _tell_price(judge: Judge, sample: JudgedSample) -> None:
    from mergeit_ops.scorers import PlanningScorer

    if not isinstance(judge.scorer, PlanningScorer):
        say(f"Price: unknown; {judge.name} runs on this machine, or does not plan its calls.")
        return
    plan = judge.scorer.plan(sample.samples)
    tokens = plan["prompt_tokens"] + plan["completion_tokens"]
    kept = (
        f" ({many(plan['cache_hits'], 'answer')} {agree(plan['cache_hits'], 'is', 'are')} in the journal)"
        if plan["cache_hits"]
        else ""
    )
    if "cost" in plan:
        cost = f"together {plan['cost']:,.4f} at the given prices"
    else:
        cost = "at an unknown price (give price_per_1k_prompt and price_per_1k_completion in --judge-params)"
    say(
        f"Price: {many(plan['calls'], 'call')}{kept}, about {plan['prompt_tokens']:,} prompt tokens and "
        f"{plan['completion_tokens']:,} completion tokens, {cost}.",
        flush=True,
    )
    budget = min((one.settings.max_total_tokens or tokens for one in _engines(judge)), default=tokens)
    if budget < tokens:
        say(f"max_total_tokens allows only {budget:,} tokens: the remaining rows get no score.", flush=True)


def _tell_scores(judge: Judge, scores: Sequence[Score]) -> None:
    """Print the distribution of the scores, and why rows have none; raise an error if training on them is useless."""
    import numpy as np

    from mergeit_ops.scorers import ReportingScorer
    from mergeit_ops.scorers.judged_sample import LEAST_ROWS

    values = [score.value for score in scores if score.value is not None]
    missing = Counter(score.status for score in scores if score.value is None)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(missing.items()))
    without = f"; {missing.total():,} have no score and are left out ({reasons})" if missing else ""
    spread = f" (mean {np.mean(values):.2f}, spread {np.std(values):.2f}, {min(values):g} to {max(values):g})"
    say(f"{many(len(values), 'row')} {agree(len(values), 'has', 'have')} a score{spread if values else ''}{without}.")
    if isinstance(judge.scorer, ReportingScorer):
        figures = judge.scorer.figures()
        spent = [f"{figures[name]:,} {name.replace('_', ' ')}" for name in _SPENT if name in figures]
        cost = f", {figures['cost']:,.4f} at the given prices" if "cost" in figures else ""
        if spent:
            say(f"Spent: {', '.join(spent)}{cost}.", flush=True)
    if len(values) < LEAST_ROWS:
        raise DatasetError(
            f"the judge gave {len(values)} of {len(scores)} rows a score; training and measuring a scorer needs at "
            f"least {LEAST_ROWS}. The answers are in the journal, so the same requests cost nothing next time."
        )
    counts = Counter(values)
    most, rows = counts.most_common(1)[0]
    if len(values) - rows < _FEWEST_OTHERS:
        raise DatasetError(
            f"the judge gave {rows} of {len(values)} rows the score {most:g}, so a scorer cannot learn a difference. "
            "Use a rubric that gives different scores."
        )


_SPENT = ("calls", "cache_hits", "retries", "prompt_tokens", "completion_tokens")
_FEWEST_OTHERS = 10


def _train(options: argparse.Namespace, judge: Judge, sample: JudgedSample, scores: Sequence[Score]) -> int:
    from mergeit_ops.embedding import load_encoder
    from mergeit_ops.scorers.distilled_card import LICENCE, card
    from mergeit_ops.scorers.distilled_figures import as_tables
    from mergeit_ops.scorers.distilled_training import ScoredRow, save
    from mergeit_ops.scorers.judged_training import train_on_judged

    rows = [
        ScoredRow(one, score.value)
        for one, score in zip(sample.samples, scores, strict=True)
        if score.value is not None
    ]
    say(f"Embedding {len(rows):,} rows, and spoiled copies of some of them; then training ...", flush=True)
    values = [row.score for row in rows]
    scale = judge.scale(values)
    encoder = load_encoder(options.embedding_model, dtype="float32")
    trained = train_on_judged(rows, encoder, scale, deducts=not options.no_deduction, seed=options.seed)
    agreement = trained.agreement
    made_from = {
        **judge.described(),
        "scale": [scale.low, scale.high],
        "rows_asked": len(scores),
        "rows_scored": len(rows),
        "unscored": dict(Counter(score.status for score in scores if score.value is None)),
        **_spread(values),
        "rows_trained_on": trained.trained_on.rows,
        "rows_held_out": agreement.rows,
        "rows_sha256": _digest(sample.samples),
        "embedding_model": trained.model.embedding_model,
        "deduction": not options.no_deduction,
        "seed": options.seed,
        "licence": LICENCE,
    }
    figures: Mapping[str, Any] = {"agreement": agreement.figures(), **trained.figures}
    said = " ".join(filter(None, [agreement.sentence(), agreement.warning()]))
    say(f"\n{as_tables(trained.figures)}\n\n{agreement.sentence()}")
    say(f"Trained on {trained.trained_on.sentence()}")
    if agreement.warning():
        say(f"warning: {agreement.warning()}", file=sys.stderr)
    try:
        save(trained.model, options.output, figures, trained.settings, made_from, trained.trained_on)
        (options.output / "README.md").write_text(
            card(made_from, trained.trained_on, trained.figures, said), encoding="utf-8"
        )
    except OSError as error:
        raise DatasetError(f"The weights could not be written to '{options.output}' ({error}).") from error
    if scale.no_ratio:
        say(
            f"quality_gate_filter refuses this scorer, as it refuses the judge: {scale.no_ratio}. Use it in "
            "sample_score_filter."
        )
    say(f"\nTo use it: scorer_params: {{path: {options.output}}}")
    return 0


def _spread(values: Sequence[float]) -> dict[str, float]:
    import numpy as np

    return {"judge_mean": round(float(np.mean(values)), 4), "judge_spread": round(float(np.std(values)), 4)}


def _digest(samples: Sequence[Sample]) -> str:
    """Return a digest of the scored rows that does not depend on their order."""
    return hashlib.sha256("\n".join(sorted(map(sample_digest, samples))).encode()).hexdigest()
