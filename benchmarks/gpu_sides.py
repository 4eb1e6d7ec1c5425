"""The work that `gpu.py` measures: for each kind, the rows, the plain way and ours."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import DATA, query, read_rows
from deita_scorer import plain_loop as plain_deita
from local_llm import conversations_of, through_the_engine
from local_llm import plain_loop as plain_merging

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import quality_prompt
from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS
from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.llm.losses import load_loss_model
from mergeit_ops.scorers import build_scorer

LOSS_TOKENS = 1_024
NEW_TOKENS = 32


@dataclass
class Sides:
    """Ways to do the same work.

    :param rows: rows to work on.
    :param tokens: function that counts the tokens of rows.
    :param ways: function that processes rows, by the name of the way; the first is the plain way.
    :param agreement: name and function of a measure of how well the results of two ways agree; None: the results are
        random.
    """

    rows: Sequence[Any]
    tokens: Callable[[Sequence[Any]], int]
    ways: Mapping[str, Callable[[Sequence[Any]], Any]]
    agreement: tuple[str, Callable[[Any, Any], float]] | None = None


def embedding(folder: str, device: str) -> Sides:
    """Set up the embedding of texts."""
    exact, auto = (load_encoder(DEFAULT_EMBEDDING_MODEL, device, dtype) for dtype in ("float32", "auto"))
    model = exact._model

    def tokens(texts: Sequence[str]) -> int:
        found = model.tokenizer(list(texts), truncation=True, max_length=model.max_seq_length)
        return sum(map(len, found["input_ids"]))

    def lowest_cosine(plain: Any, ours: Any) -> float:
        return float((plain * ours).sum(axis=1).min())

    return Sides(
        shuffled([query(row) for row in read_rows(DATA)]),
        tokens,
        {
            "plain": lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False),
            "ours_float32": exact.encode,
            "ours": auto.encode,
        },
        ("lowest_cosine", lowest_cosine),
    )


def losses(folder: str, device: str) -> Sides:
    """Set up IFD."""
    import torch

    params = {"hf_model": folder, "dtype": "bfloat16", "max_length": LOSS_TOKENS, "device": device, "cache_path": None}
    scorer = build_scorer("response_loss", params)
    shared = load_loss_model(folder, {}, device, "bfloat16")
    model, start = shared.passes._model, shared.start("bos")

    def parts(row: Sample) -> list[list[int]]:
        prompt, response = shared.tokens([LOSS_PROMPTS["plain"].before_response(row), row.output])
        return [[*start, *prompt], response]

    def loss(before: list[int], response: list[int]) -> float:
        ids = torch.tensor([[*before, *response][:LOSS_TOKENS]], device=model.device)
        labels = ids.clone()
        labels[:, : len(before)] = -100
        with torch.inference_mode():
            return float(model(input_ids=ids, labels=labels).loss)

    def row_at_a_time(rows: Sequence[Sample]) -> list[float]:
        both = ((loss(before, response), loss(start, response)) for before, response in map(parts, rows))
        return [float(torch.tensor(given - alone).exp()) for given, alone in both]

    def tokens(rows: Sequence[Sample]) -> int:
        return sum(len(before) + 2 * len(response) for before, response in map(parts, rows))

    # The two sides would cut longer texts at different ends.
    rows = samples()
    lengths = map(len, shared.tokens([LOSS_PROMPTS["plain"].before_response(row) + row.output for row in rows]))
    short = [row for row, length in zip(rows, lengths, strict=True) if length < LOSS_TOKENS - 8]
    return Sides(short, tokens, {"plain": row_at_a_time, "ours": values_of(scorer)}, ("largest_difference", furthest))


def merging(folder: str, device: str) -> Sides:
    """Set up the answers to the prompts of merges."""
    return Sides(
        shuffled(conversations_of(read_rows(DATA))),
        lambda conversations: NEW_TOKENS * len(conversations),
        {
            "plain": plain_merging(folder, NEW_TOKENS, device),
            "ours": through_the_engine(folder, NEW_TOKENS, device),
        },
    )


def deita(folder: str, device: str) -> Sides:
    """Set up the scores of the published Deita scorer."""
    scorer = build_scorer("deita", {"model": folder, "device": device, "dtype": "bfloat16"})
    shared = scorer._loaded_model()

    def tokens(rows: Sequence[Sample]) -> int:
        return sum(map(len, shared.tokens([quality_prompt(row.query, row.output) for row in rows])))

    ways = {"plain": plain_deita(shared._tokenizer, shared._model), "ours": values_of(scorer)}
    return Sides(samples(), tokens, ways, ("largest_difference", furthest))


KINDS: Mapping[str, Callable[[str, str], Sides]] = {
    "embedding": embedding,
    "losses": losses,
    "merging": merging,
    "deita": deita,
}


def samples() -> list[Sample]:
    """Return rows in random order, so that the first rows are a fair sample."""
    return shuffled([Sample(row["instruction"], row.get("input") or "", row["output"]) for row in read_rows(DATA)])


def shuffled(rows: list[Any]) -> list[Any]:
    return random.Random(0).sample(rows, len(rows))


def values_of(scorer: Any) -> Callable[[Sequence[Sample]], list[float | None]]:
    return lambda rows: [score.value for score in scorer.score(rows)]


def furthest(plain: Sequence[float], ours: Sequence[float | None]) -> float:
    return max(abs(a - b) for a, b in zip(plain, ours, strict=True) if b is not None)
