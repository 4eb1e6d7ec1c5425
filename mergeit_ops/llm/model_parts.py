"""The parts of a causal language model of Hugging Face, so that no more of it runs than is needed."""

from __future__ import annotations

from typing import Any

__all__ = ["body_and_head"]


def body_and_head(model: Any) -> tuple[Any, Any] | None:
    """Return what reads texts, and what makes logits of what it has read, so that only those are made that count.

    :param model: a causal language model.
    :return: None where the two one after the other give other logits than the model, such as one that scales them.
    """
    import torch

    body, head = model.base_model, model.get_output_embeddings()
    if body is model or head is None:
        return None
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    with torch.inference_mode():
        try:
            apart = head(body(input_ids=ids).last_hidden_state)
        except (AttributeError, TypeError, ValueError, RuntimeError):  # of a class that is built otherwise
            return None
        return (body, head) if torch.equal(apart, model(input_ids=ids).logits) else None
