"""Sentence embeddings: load a model once per process, and encode texts with it."""

from mergeit_ops.embedding.backends import load_encoder
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.embedding.encoder import Encoder
from mergeit_ops.embedding.sentence_encoder import SentenceEncoder

__all__ = ["DEFAULT_EMBEDDING_MODEL", "Encoder", "SentenceEncoder", "load_encoder"]
