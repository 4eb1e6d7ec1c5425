"""Sentence embeddings: loading the model once per process, and encoding texts with it."""

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.embedding.sentence_encoder import SentenceEncoder, load_encoder

__all__ = ["DEFAULT_EMBEDDING_MODEL", "SentenceEncoder", "load_encoder"]
