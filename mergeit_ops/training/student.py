"""A small causal language model that is trained again and again from the same weights."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from mergeit_ops.embedding.precision import narrow_weights, precision, takes_bfloat16
from mergeit_ops.errors import MissingDependencyError, StudentError
from mergeit_ops.llm.huggingface import (
    ModelNotLoadedError,
    context_length,
    default_device,
    is_out_of_memory,
    load_model,
)
from mergeit_ops.llm.model_parts import body_and_head
from mergeit_ops.training.encoding import EncodedText
from mergeit_ops.training.lower_layers import LowerLayers, decoder_layers
from mergeit_ops.training.settings import FineTuningSettings

__all__ = ["Batch", "Student", "load_student"]

_MOST_LOGITS = 60_000_000
"""Of a pass on a processor: with their gradients they take three times four bytes each."""
_MOST_GPU_LOGITS = 400_000_000
_HASHED_BYTES = 4_096


@dataclass
class Batch:
    """Texts that go through the student together, and what its lower layers have made of them.

    :param ids: (b, l) token ids, padded on the right, where no token of a text ever looks.
    :param targets: (b, l) the token behind each position whose loss is wanted, else -100.
    :param states: (b, l, d) of the lower layers; None: not computed.
    """

    ids: Any
    targets: Any
    states: Any | None = None

    @property
    def answer_tokens(self) -> int:
        """Return how many losses it gives."""
        return int((self.targets >= 0).sum())


def load_student(name: str, settings: FineTuningSettings, device: str | None, bfloat16: bool | None = None) -> Student:
    """Load a student.

    :param name: name at the Hugging Face Hub, or a folder.
    :param settings: how it is trained.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU where there is one.
    :param bfloat16: whether products are in bfloat16; None: where the device has instructions for it.
    :raises StudentError: if it cannot be loaded, the device is not there, or the settings do not fit it.
    """
    if device is not None and device.startswith("cuda") and not torch.cuda.is_available():
        raise StudentError(f"--device {device}: this machine has no GPU that torch can use; take --device cpu.")
    try:
        tokenizer, model = load_model(
            "AutoModelForCausalLM", name, {}, device or default_device(), "float32", padding_side="right"
        )
    except ModelNotLoadedError as error:
        raise StudentError(
            f"The student {name!r} cannot be loaded ({error}): name a causal language model of the Hugging Face Hub, "
            "which needs a connection or a local copy, or a folder."
        ) from error
    narrow = takes_bfloat16(str(model.device), "auto") if bfloat16 is None else bfloat16
    return Student(name, tokenizer, model, settings, narrow)


class Student:
    """See `load_student`. Dropout is off: it would only add noise to a comparison.

    :param name: of the model, for messages.
    :param tokenizer: its tokenizer.
    :param model: a causal language model with weights in float32.
    :param settings: how it is trained.
    :param bfloat16: whether products are in bfloat16.
    :raises StudentError: if the settings do not fit it.
    """

    def __init__(self, name: str, tokenizer: Any, model: Any, settings: FineTuningSettings, bfloat16: bool) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.settings = settings
        self.device = model.device
        self.bfloat16 = bfloat16
        self.fingerprint = _fingerprint(model)
        positions = context_length(model.config)
        self.most_tokens = min(settings.max_length, positions or settings.max_length)
        self.layers = 0
        self._lower: LowerLayers | None = None
        self._adapters: list[Any] = []
        self._model = model
        model.requires_grad_(False)
        # Before adapters and wrapped layers are in it.
        self._parts = body_and_head(model)
        self.trained: list[Any] = {"top": self._take_top, "lora": self._take_adapters, "full": self._take_all}[
            settings.trained
        ]()
        self._start = [weights.detach().clone() for weights in self.trained]

    @property
    def reuses_lower_layers(self) -> bool:
        """Whether what the lower layers make of a text is computed once."""
        return self._lower is not None

    @property
    def trained_weights(self) -> int:
        """Return how many numbers are trained."""
        return sum(weights.numel() for weights in self.trained)

    def reset(self, seed: int) -> None:
        """Give it the weights back that it had at first.

        :param seed: of adapters, which begin at random.
        """
        torch.manual_seed(seed)
        with torch.no_grad():
            for weights, start in zip(self.trained, self._start, strict=True):
                weights.copy_(start)
        for adapter in self._adapters:
            adapter.reset_lora_parameters("default", True)

    def batch(self, texts: Sequence[EncodedText]) -> Batch:
        """Return texts as tensors.

        :param texts: at least one.
        """
        width = max(len(text.tokens) for text in texts)
        ids = torch.zeros((len(texts), width), dtype=torch.long)
        targets = torch.full((len(texts), width), -100)
        for row, text in enumerate(texts):
            tokens = torch.tensor(text.tokens)
            ids[row, : len(tokens)] = tokens
            for first, stop in text.answers:
                targets[row, first - 1 : stop - 1] = tokens[first:stop]
        return Batch(ids, targets)

    def parts(self, texts: Sequence[EncodedText]) -> Iterator[Sequence[EncodedText]]:
        """Yield the texts of a step or of an evaluation in parts whose logits fit into memory.

        :param texts: in the order in which they are divided.
        """
        words = int(self._model.config.get_text_config().vocab_size)
        most = max(1, (_MOST_GPU_LOGITS if self.device.type == "cuda" else _MOST_LOGITS) // words)
        start, size = 0, 0
        for number, text in enumerate(texts):
            # Without a head of its own, the model makes logits of every token.
            tokens = text.answer_tokens if self._parts is not None else len(text.tokens)
            if number > start and size + tokens > most:
                yield texts[start:number]
                start, size = number, 0
            size += tokens
        yield texts[start:]

    def losses(self, batch: Batch) -> Any:
        """Return the loss of each token of the answers of a batch, text after text, natural logarithm.

        :param batch: it keeps what the lower layers make of it.
        :raises StudentError: when memory does not suffice.
        """
        try:
            return self._losses(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise StudentError(
                f"Memory does not suffice to train {self.name!r} on texts of {self.most_tokens} tokens: lower "
                "--max-length or --step-tokens, or take --train top or lora."
            ) from error

    def _losses(self, batch: Batch) -> Any:
        with precision(str(self.device), self.bfloat16):
            ids = batch.ids.to(self.device)
            around: Any = nullcontext()
            if self._lower is not None:
                if batch.states is None:
                    states = self._lower.states(self._body, ids)
                    batch.states = states.to(torch.bfloat16 if self.bfloat16 else states.dtype)
                around = self._lower.passed_by(batch.states.to(torch.float32))
            wanted = (batch.targets >= 0).to(self.device)
            with around:
                if self._parts is None:
                    logits = self._model(input_ids=ids, use_cache=False).logits[wanted]
                else:
                    body, head = self._parts
                    logits = head(body(input_ids=ids, use_cache=False).last_hidden_state[wanted])
        return cross_entropy(logits.float(), batch.targets.to(self.device)[wanted], reduction="none")

    @property
    def _body(self) -> Any:
        return self._model if self._parts is None else self._parts[0]

    def _take_top(self) -> list[Any]:
        layers = decoder_layers(self._model)
        if layers is None:
            raise StudentError(
                f"The layers of the student {self.name!r} do not stand in one list, so its upper ones cannot be told: "
                "take --train lora or full."
            )
        self.layers = self.settings.layers or math.ceil(len(layers) / 4)
        if self.layers > len(layers):
            raise StudentError(f"--layers: the student {self.name!r} has {len(layers)} layers, got {self.layers}.")
        below = len(layers) - self.layers
        trained = [weights for layer in layers[below:] for weights in layer.parameters()]
        trained += self._last_norm(layers)
        if below:
            self._lower = self._tried(layers, below)
            if self.bfloat16:
                for layer in layers[:below]:
                    narrow_weights(layer)
        for weights in trained:
            weights.requires_grad_(True)
        return trained

    def _last_norm(self, layers: Any) -> list[Any]:
        """Return the weights of what stands behind the layers in the body: its last norm."""
        body = self._body
        if self._parts is None:
            return []
        names = list(body._modules)
        place = next((number for number, name in enumerate(names) if body._modules[name] is layers), None)
        behind = [] if place is None else [body._modules[name] for name in names[place + 1 :]]
        return [weights for part in behind if part is not None for weights in part.parameters()]

    def _tried(self, layers: Any, below: int) -> LowerLayers | None:
        """Return the lower layers, if the model goes on from their states as if it had computed them."""
        ids = torch.arange(6, device=self.device)[None] % int(self._model.config.get_text_config().vocab_size)
        with torch.no_grad():
            whole = self._body(input_ids=ids, use_cache=False)[0]
            originals = list(layers)
            lower = LowerLayers(layers, below)
            try:
                with lower.passed_by(lower.states(self._body, ids)):
                    apart = self._body(input_ids=ids, use_cache=False)[0]
            except (
                AttributeError,
                TypeError,
                ValueError,
                RuntimeError,
                KeyError,
            ):  # of a class that is built otherwise
                apart = None
        if apart is not None and torch.allclose(whole, apart, rtol=1e-4, atol=1e-4):
            return lower
        for number, layer in enumerate(originals):
            layers[number] = layer
        return None

    def _take_all(self) -> list[Any]:
        self._model.requires_grad_(True)
        return list(self._model.parameters())

    def _take_adapters(self) -> list[Any]:
        try:
            from peft import LoraConfig, inject_adapter_in_model
            from peft.tuners.lora import LoraLayer
        except ImportError as error:
            raise MissingDependencyError(
                '--train lora needs the package peft: pip install "mergeit-ops[train]".'
            ) from error
        rank = self.settings.lora_rank
        config = LoraConfig(
            r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        inject_adapter_in_model(config, self._model)
        self._adapters = [part for part in self._model.modules() if isinstance(part, LoraLayer)]
        self._model.eval()
        trained = [weights for weights in self._model.parameters() if weights.requires_grad]
        if not trained:
            raise StudentError(
                f"--train lora: the student {self.name!r} has no linear layers to adapt; take --train top."
            )
        return trained


def _fingerprint(model: Any) -> str:
    """Return a hash of the first bytes of each of its weights."""
    known = hashlib.sha256()
    for name, weights in model.named_parameters():
        known.update(name.encode())
        known.update(weights.detach().reshape(-1)[: _HASHED_BYTES // 4].float().cpu().numpy().tobytes())
    return known.hexdigest()[:20]
