"""The parts of a Hugging Face causal language model, to run only what is needed."""

from __future__ import annotations

from typing import Any

__all__ = ["body_and_head"]


def body_and_head(model: Any) -> tuple[Any, Any] | None:
    """Return the body of a model, which reads texts, and its head, which makes logits, to compute only the needed
    logits.

    :param model: a causal language model.
    :return: None if both together give other logits than the model, for example if the model scales them.
    """
    import torch

    body, head = model.base_model, model.get_output_embeddings()
    if body is model or head is None:
        return None
    ids = torch.tensor([[0, 1, 2]], device=model.device)
    with torch.inference_mode():
        try:
            apart = head(body(input_ids=ids).last_hidden_state)
        except (AttributeError, TypeError, ValueError, RuntimeError):  # from a class with another structure
            return None
        return (body, head) if torch.equal(apart, model(input_ids=ids).logits) else None
