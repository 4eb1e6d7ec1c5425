"""Hugging Face models: loaded once per process, and run within the available memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from mergeit_ops.constraints import refuse_secrets
from mergeit_ops.embedding.precision import limit_kernel_caches, takes_bfloat16
from mergeit_ops.errors import MissingDependencyError, RecipeError
from mergeit_ops.worker import worker

__all__ = [
    "DTYPE_PARAMS",
    "ModelNotLoadedError",
    "checked_model_params",
    "context_length",
    "default_device",
    "default_dtype",
    "in_halves",
    "is_out_of_memory",
    "load_causal_lm",
    "load_model",
    "loaded_once",
]

DTYPE_PARAMS = ("dtype", "torch_dtype")
"""Arguments of `from_pretrained` for the type of the weights: the newer and the older name."""

T = TypeVar("T")
Item = TypeVar("Item")

_REASON_CHARS = 300
# Arguments that a tokenizer shares with its model: their location, and whether their code may run.
_SHARED_PARAMS = ("revision", "trust_remote_code", "cache_dir", "local_files_only", "subfolder")


class ModelNotLoadedError(Exception):
    """A model could not be loaded. The text is the libraries' reason, for the caller's sentence."""


def loaded_once(key: str, load: Callable[[], T]) -> T:
    """Return the model that this process has loaded under a key; load it on first use.

    Two models are kept. If memory does not suffice for another one, the kept ones are dropped first.

    :param key: everything that distinguishes one load from another.
    :param load: function that loads it; its exceptions are not kept.
    """

    def load_alone_if_need_be() -> T:
        try:
            return load()
        except Exception as error:
            causes = (error, error.__cause__, error.__cause__ and error.__cause__.__cause__)
            if not any(cause is not None and is_out_of_memory(cause) for cause in causes):
                raise
            if not worker.models.clear():
                raise
        # Outside the handler, because the exception keeps the tensors of its frames alive.
        _free_memory()
        return load()

    found: T = worker.models.get(key, load_alone_if_need_be)
    return found


def checked_model_params(owner: str, model_params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the recipe's arguments of `from_pretrained` for a scorer with a parameter `dtype`.

    :param owner: name of the scorer, for the message.
    :param model_params: arguments in the recipe; None if there are none.
    :raises RecipeError: if they are not a mapping, contain a credential, or set the type of the weights.
    """
    if not isinstance(model_params, (Mapping, type(None))):
        raise RecipeError(f"{owner}: model_params must be a mapping, got {type(model_params).__name__}.")
    params = dict(model_params or {})
    refuse_secrets({"model_params": params}, owner)
    if set(DTYPE_PARAMS) & set(params):
        raise RecipeError(
            f"{owner}: the type of the weights is the parameter dtype, not one of model_params; move it there."
        )
    return params


def default_device() -> str:
    """Return `cuda` if there is a GPU, otherwise `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def default_dtype(device: str) -> str:
    """Return the type of weights with which a device runs a model fastest without harming its output.

    It is bfloat16 if the device has instructions for it, as with `embedding_dtype: auto`. Otherwise it is float16 on a
    GPU, which halves the memory, and float32 on a CPU, where the narrow types are emulated and slow.

    :param device: torch device.
    """
    if takes_bfloat16(device, "auto"):
        return "bfloat16"
    return "float16" if device.startswith("cuda") else "float32"


def context_length(config: Any) -> int | None:
    """Return the most tokens that a model can read; None if its configuration does not say.

    :param config: configuration of a model of texts.
    """
    positions = getattr(config, "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None


def load_causal_lm(
    name: str, model_params: Mapping[str, Any], device: str | None = None, dtype: str | None = None
) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer; see `load_model`.

    :return: the tokenizer, which pads on the left, so that every prompt ends in the last column; and the model, ready
        for inference.
    """
    return load_model("AutoModelForCausalLM", name, model_params, device, dtype, padding_side="left")


def load_model(
    auto_class: str,
    name: str,
    model_params: Mapping[str, Any],
    device: str | None = None,
    dtype: str | None = None,
    **tokenizer_params: Any,
) -> tuple[Any, Any]:
    """Load a model and its tokenizer.

    :param auto_class: class of transformers for the model, such as `AutoModelForSequenceClassification`.
    :param name: name on the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`; the tokenizer gets those about the location.
    :param device: where the model runs; None takes a GPU if there is one. A `device_map` takes precedence.
    :param dtype: name of the type of its weights, such as `bfloat16`; None: `model_params` or transformers decide.
    :param tokenizer_params: further arguments of the tokenizer.
    :return: the tokenizer and the model, ready for inference.
    :raises MissingDependencyError: without transformers or torch.
    :raises ModelNotLoadedError: if it cannot be loaded.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "A local Hugging Face model needs transformers and torch: pip install transformers torch."
        ) from error
    limit_kernel_caches()
    given = [model_params[key] for key in DTYPE_PARAMS if key in model_params]
    params = {key: value for key, value in model_params.items() if key not in DTYPE_PARAMS}
    if given or dtype is not None:
        # Renamed in transformers 4.56, which warns about the old name.
        name_of_dtype = DTYPE_PARAMS[tuple(map(int, transformers.__version__.split(".")[:2])) < (4, 56)]
        params[name_of_dtype] = dtype if dtype is not None else given[0]
    shared = {key: model_params[key] for key in _SHARED_PARAMS if key in model_params}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **shared, **tokenizer_params)
        model = getattr(transformers, auto_class).from_pretrained(name, **params)
        if "device_map" not in model_params:
            model.to(device or default_device())
    except Exception as error:  # the libraries below raise a dozen unrelated types for "not there"
        raise ModelNotLoadedError(_reason(error)) from error
    model.eval()
    return tokenizer, model


def in_halves(
    items: Sequence[Item],
    run: Callable[[Sequence[Item]], list[T]],
    on_too_many: Callable[[Sequence[Item]], None] = lambda items: None,
) -> list[T]:
    """Run a batch, or its halves if memory does not suffice.

    :param items: n items, at least one.
    :param run: function that returns n results for n items.
    :param on_too_many: function that gets each batch that exceeded the memory and is split.
    :return: n results, in the order of the items.
    :raises Exception: the exception for `is_out_of_memory`, if one item alone exceeds the memory.
    """
    try:
        return run(items)
    except Exception as error:
        if len(items) == 1 or not is_out_of_memory(error):
            raise
    # Outside the handler, because the exception keeps the tensors of its frames alive.
    _free_memory()
    on_too_many(items)
    half = len(items) // 2
    return in_halves(items[:half], run, on_too_many) + in_halves(items[half:], run, on_too_many)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory did not suffice, on a GPU or a CPU.

    :param error: exception of a call into torch.
    """
    import torch

    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    # torch's CPU allocator and the CUDA libraries have no exception types.
    signs = ("DefaultCPUAllocator", "CUDA out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:_REASON_CHARS] or type(error).__name__
    # For a tokenizer.model without a tokenizer.json; the message of transformers names another package.
    if ("sentencepiece" in text.lower() or "tiktoken" in text) and find_spec("sentencepiece") is None:
        return f"{text} A tokenizer.model is most often one of sentencepiece: pip install sentencepiece"
    return text
