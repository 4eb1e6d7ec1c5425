"""Causal language models of Hugging Face: loaded once per process, run within the memory there is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from mergeit_ops.errors import MissingDependencyError

__all__ = ["ModelNotLoadedError", "default_device", "in_halves", "load_causal_lm", "loaded_once"]

T = TypeVar("T")
Item = TypeVar("Item")

_REASON_CHARS = 300
# What a tokenizer shares with its model: where they lie, and whether code beside them may run.
_SHARED_PARAMS = ("revision", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")

_loaded: dict[str, Any] = {}
_loading = threading.Lock()


class ModelNotLoadedError(Exception):
    """A model could not be loaded; the text is the libraries' reason, for the caller's own sentence."""


def loaded_once(key: str, load: Callable[[], T]) -> T:
    """Return what this process has loaded under a key, loading it on first use.

    :param key: everything that tells one load from another.
    :param load: loads it; what it raises is not kept.
    """
    with _loading:
        if key not in _loaded:
            _loaded[key] = load()
        return _loaded[key]


def default_device() -> str:
    """Return `cuda` where there is a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_causal_lm(
    name: str, model_params: Mapping[str, Any], device: str | None = None, dtype: str | None = None
) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer.

    :param name: name at the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`; the tokenizer gets those that say where it lies.
    :param device: where the model runs; None takes a GPU where there is one. A `device_map` goes before it.
    :param dtype: name of the type of its weights, such as `bfloat16`; None for what `model_params` or transformers say.
    :return: the tokenizer, which pads on the left, where the end of every prompt stands in the last column, and the
        model, ready for inference.
    :raises MissingDependencyError: without transformers or torch.
    :raises ModelNotLoadedError: when it cannot be loaded.
    """
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer, __version__
    except ImportError as error:
        raise MissingDependencyError(
            "A local Hugging Face model needs transformers and torch: pip install transformers torch."
        ) from error
    params = dict(model_params)
    if dtype is not None:
        # Renamed in transformers 4.56, which warns of the old name.
        params["dtype" if tuple(map(int, __version__.split(".")[:2])) >= (4, 56) else "torch_dtype"] = dtype
    shared = {key: model_params[key] for key in _SHARED_PARAMS if key in model_params}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left", **shared)
        model = AutoModelForCausalLM.from_pretrained(name, **params)
        if "device_map" not in model_params:
            model.to(device or default_device())
    except Exception as error:  # the libraries below raise a dozen unrelated types for "not there"
        raise ModelNotLoadedError(_reason(error)) from error
    model.eval()
    return tokenizer, model


def in_halves(items: Sequence[Item], run: Callable[[Sequence[Item]], list[T]]) -> list[T]:
    """Run a batch, in halves where the GPU's memory does not suffice.

    :param items: n items, at least one.
    :param run: gives n results for n items.
    :return: n results, in the order of the items.
    :raises torch.cuda.OutOfMemoryError: when one item alone is too much.
    """
    import torch

    try:
        return run(items)
    except torch.cuda.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(items) // 2
    return in_halves(items[:half], run) + in_halves(items[half:], run)


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:_REASON_CHARS] or type(error).__name__
    # For a tokenizer.model without a tokenizer.json; what transformers says of it names another package.
    if ("sentencepiece" in text.lower() or "tiktoken" in text) and find_spec("sentencepiece") is None:
        return f"{text} A tokenizer.model is most often one of sentencepiece: pip install sentencepiece"
    return text
