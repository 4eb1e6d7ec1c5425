"""Defaults of the embedding step, apart from the model code so that operators can name them without loading it."""

DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of the paper: 384 dimensions, 22 million parameters, runs on a CPU."""

STATIC = "static"
"""As `embedding_model`: token vectors that are fitted to the rows at hand."""

_DEFAULT_MODEL_NAMES = frozenset({DEFAULT_EMBEDDING_MODEL, "all-MiniLM-L6-v2"})

HUB_VARIABLES = ("HF_TOKEN", "HF_HUB_OFFLINE")
"""Environment variables that the libraries read which load models from the Hugging Face Hub."""

DTYPES = ("auto", "float32", "bfloat16")
"""In what precision a model multiplies; `auto` takes bfloat16 where the processor has instructions for it."""


EMBEDDING_WINDOWS = ("first", "mean")
"""Of a text that is longer than the model's window: its first window, or the mean of its windows."""

DEFAULT_EMBEDDING_WINDOW = "mean"
"""It finds the other half of a long text more often, and costs nothing where texts are short; see docs/embedding.md."""

MOST_WINDOWS = 8
"""Windows of a text that are embedded at most, so that one text cannot take the time of thousands."""


def is_default(model: str) -> bool:
    """Return whether a name is one of the default model's.

    :param model: a name, or a folder.
    """
    return model in _DEFAULT_MODEL_NAMES
