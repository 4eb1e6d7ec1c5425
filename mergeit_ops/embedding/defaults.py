"""Defaults of the embedding step, apart from the model code so that operators can name them without loading it."""

DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The model of the paper: 384 dimensions, 22 million parameters, runs on a CPU."""

HUB_VARIABLES = ("HF_TOKEN", "HF_HUB_OFFLINE")
"""Environment variables that the libraries read which load models from the Hugging Face Hub."""

DTYPES = ("auto", "float32", "bfloat16")
"""In what precision a model multiplies; `auto` takes bfloat16 where the processor has instructions for it."""
