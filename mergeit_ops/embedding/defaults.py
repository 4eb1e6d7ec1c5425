"""Defaults of the embedding step, in a separate module so that operators can use them without loading the model
code."""

DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of the paper: 384 dimensions, 22 million parameters, runs on a CPU."""

STATIC = "static"
"""Value of `embedding_model` for token vectors that are fitted to the rows."""

_DEFAULT_MODEL_NAMES = frozenset({DEFAULT_EMBEDDING_MODEL, "all-MiniLM-L6-v2"})

HUB_VARIABLES = ("HF_TOKEN", "HF_HUB_OFFLINE")
"""Environment variables of the libraries that load models from the Hugging Face Hub."""

DTYPES = ("auto", "float32", "bfloat16")
"""Number formats of a model's multiplications; `auto` takes bfloat16 if the processor has instructions for it."""


EMBEDDING_WINDOWS = ("first", "mean")
"""How to embed a text that is longer than the model's window: its first window, or the mean of its windows."""

DEFAULT_EMBEDDING_WINDOW = "mean"
"""With the mean, the two halves of a long text find each other more often, and it costs nothing for short texts; see
docs/embedding.md."""

MOST_WINDOWS = 8
"""Most windows of a text that are embedded, so that one text cannot take the time of thousands."""


def is_default(model: str) -> bool:
    """Return whether a name belongs to the default model.

    :param model: a name, or a folder.
    """
    return model in _DEFAULT_MODEL_NAMES
