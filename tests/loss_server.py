"""Answers of servers that return log-probabilities of a prompt, from a tiny model.

There are two kinds, `vllm` and `llama-cpp-python`, which answer like the real ones. tests/servers has the real
llama-cpp-python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from tests import tiny_models
from tests.llm_server import Answer, Reply, error, listed_prompt_reply

POSITIONS = 1024


@lru_cache
def _loaded(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


def _logprobs(model: Any, ids: Sequence[int]) -> Any:
    """Return an array whose row i has the log-probabilities of the token after token i."""
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([list(ids)])).logits[0].double().log_softmax(-1)


def _texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Return the texts of the tokens. A character of several tokens belongs to the last of them."""
    shown: list[str] = []
    pending: list[int] = []
    for number in ids:
        pending.append(number)
        text = tokenizer.decode(pending)
        partial = text.endswith("\ufffd")
        shown.append("" if partial else text)
        pending = pending if partial else []
    return shown


def answers_of(
    kind: str = "vllm", *, puts_bos: bool = False, folder: str = "", echoes: bool = True, window: int = POSITIONS
) -> Answer:
    """Return a function that answers like a server.

    :param kind: `vllm` or `llama-cpp-python`.
    :param puts_bos: whether the server puts BOS before a prompt.
    :param folder: folder of the model; empty: a tiny model with GPT-2's architecture.
    :param echoes: whether the server supports `echo`; otherwise it returns only the tokens of the completion.
    :param window: maximum tokens of a prompt.
    """
    tokenizer, model = _loaded(folder or tiny_models.gpt2_folder(POSITIONS))
    bos = tokenizer.bos_token_id

    def answer(body: dict[str, Any]) -> Reply:
        ids = [bos] * puts_bos + tokenizer(body["prompt"], add_special_tokens=False)["input_ids"]
        if len(ids) + 1 > window:
            return error(400, f"This model's maximum context length is {window} tokens.", code=400)
        rows = _logprobs(model, ids)
        drawn = int(rows[-1].argmax())
        completion = [(tokenizer.decode([drawn]), float(rows[-1][drawn]))]
        usage = (len(ids), 1)
        if body.get("prompt_logprobs") is not None and kind == "vllm":
            best, texts = rows.argmax(-1).tolist(), _texts(tokenizer, ids)
            entries: list[Any] = [None]
            for place, number in enumerate(ids[1:]):
                of_place = {number: float(rows[place][number]), best[place]: float(rows[place].max())}
                ranks = {number: 1 + int((rows[place] > rows[place][number]).sum())} | {best[place]: 1}
                entries.append(
                    {
                        str(token): {"logprob": value, "rank": ranks[token], "decoded_token": texts[place + 1]}
                        for token, value in of_place.items()
                    }
                )
            return listed_prompt_reply([], completion, usage, prompt_logprobs=entries)
        if not (body.get("echo") and echoes):
            return listed_prompt_reply([], completion, usage)
        if kind == "vllm":
            values = [None, *(float(rows[place][number]) for place, number in enumerate(ids[1:]))]
            texts = _texts(tokenizer, ids)
            return listed_prompt_reply(list(zip(texts, values, strict=True)), completion, usage)
        # Like the real server, read the row at the token's own position. It is the right row only if BOS was left out.
        shown = [*(ids[1:] if ids[0] == bos else ids), drawn]
        listed = [
            (tokenizer.decode([number]).replace("\ufffd", "") if number != bos else "", float(row[number]))
            for number, row in zip(shown, rows, strict=False)
            if number != bos
        ]
        listed[0] = (listed[0][0], None)
        return listed_prompt_reply(listed, [], usage)

    return answer
