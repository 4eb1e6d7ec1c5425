"""A small causal language model. Every training starts from the same weights."""

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
"""Maximum logits of a pass on a CPU. With its gradients, a logit takes three times four bytes."""
_MOST_GPU_LOGITS = 400_000_000
_HASHED_BYTES = 4_096


@dataclass
class Batch:
    """Texts that go through the student together, and the states of its lower layers.

    :param ids: (b, l) token ids, padded on the right. Causal attention never reads this padding, so no mask is needed.
    :param targets: (b, l) next token of each position that the loss covers, -100 elsewhere.
    :param states: (b, l, d) states of the lower layers; None: not computed yet.
    """

    ids: Any
    targets: Any
    states: Any | None = None

    @property
    def answer_tokens(self) -> int:
        """Return the number of tokens that the loss covers."""
        return int((self.targets >= 0).sum())


def load_student(name: str, settings: FineTuningSettings, device: str | None, bfloat16: bool | None = None) -> Student:
    """Load a student.

    :param name: name at the Hugging Face Hub, or path of a folder.
    :param settings: settings of its trainings.
    :param device: `cpu`, `cuda` or `cuda:N`; None: a GPU if there is one, else the CPU.
    :param bfloat16: whether products are in bfloat16; None: if the device has instructions for it.
    :raises StudentError: if the model cannot be loaded, the device does not exist, or the settings do not fit the
        model.
    """
    if device is not None and device.startswith("cuda") and not torch.cuda.is_available():
        raise StudentError(f"--device {device}: this machine has no GPU that torch can use; use --device cpu.")
    try:
        tokenizer, model = load_model(
            "AutoModelForCausalLM", name, {}, device or default_device(), "float32", padding_side="right"
        )
    except ModelNotLoadedError as error:
        raise StudentError(
            f"The student {name!r} cannot be loaded ({error}). Give the name of a causal language model at the Hugging "
            "Face Hub, which needs a connection or a local copy, or the path of a folder."
        ) from error
    narrow = takes_bfloat16(str(model.device), "auto") if bfloat16 is None else bfloat16
    return Student(name, tokenizer, model, settings, narrow)


class Student:
    """A model that is trained and measured; see `load_student`. Dropout is off, since it only adds noise.

    :param name: name of the model, for messages.
    :param tokenizer: tokenizer of the model.
    :param model: a causal language model with weights in float32.
    :param settings: settings of its trainings.
    :param bfloat16: whether products are in bfloat16.
    :raises StudentError: if the settings do not fit the model.
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
        # Adapters and wrapped layers, which come later, would hide these parts.
        self._parts = body_and_head(model)
        self.trained: list[Any] = {"top": self._take_top, "lora": self._take_adapters, "full": self._take_all}[
            settings.trained
        ]()
        self._start = [weights.detach().clone() for weights in self.trained]

    @property
    def reuses_lower_layers(self) -> bool:
        """Whether the states of the lower layers are computed once for each text."""
        return self._lower is not None

    @property
    def trained_weights(self) -> int:
        """Return the number of trained weights."""
        return sum(weights.numel() for weights in self.trained)

    def reset(self, seed: int) -> None:
        """Restore the original weights.

        :param seed: seed of the adapters, which start from random weights.
        """
        torch.manual_seed(seed)
        with torch.no_grad():
            for weights, start in zip(self.trained, self._start, strict=True):
                weights.copy_(start)
        for adapter in self._adapters:
            adapter.reset_lora_parameters("default", True)

    def batch(self, texts: Sequence[EncodedText]) -> Batch:
        """Return texts as tensors.

        :param texts: at least one text.
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
        """Divide the texts of a step or an evaluation into parts whose logits fit into memory.

        :param texts: at least one text; the parts keep their order.
        """
        words = int(self._model.config.get_text_config().vocab_size)
        most = max(1, (_MOST_GPU_LOGITS if self.device.type == "cuda" else _MOST_LOGITS) // words)
        start, size = 0, 0
        for number, text in enumerate(texts):
            # A model without a separate head computes logits for every token.
            tokens = text.answer_tokens if self._parts is not None else len(text.tokens)
            if number > start and size + tokens > most:
                yield texts[start:number]
                start, size = number, 0
            size += tokens
        yield texts[start:]

    def losses(self, batch: Batch) -> Any:
        """Return the loss of each answer token of a batch in nats, text after text.

        :param batch: the texts; the states of the lower layers are added to it.
        :raises StudentError: if there is not enough memory.
        """
        try:
            return self._losses(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise StudentError(
                f"There is not enough memory to train {self.name!r} on texts of {self.most_tokens} tokens: lower "
                "--max-length or --step-tokens, or use --train top or lora."
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
                f"--train top: the student {self.name!r} does not keep its layers in one list, so its upper layers "
                "cannot be found; use --train lora or full."
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
        """Return the weights of the modules after the layers in the body, usually the last norm."""
        body = self._body
        if self._parts is None:
            return []
        names = list(body._modules)
        place = next((number for number, name in enumerate(names) if body._modules[name] is layers), None)
        behind = [] if place is None else [body._modules[name] for name in names[place + 1 :]]
        return [weights for part in behind if part is not None for weights in part.parameters()]

    def _tried(self, layers: Any, below: int) -> LowerLayers | None:
        """Return the lower layers, or None if the model gives other outputs when it continues from their states."""
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
            ):  # the model passes states between its layers in another way
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
                f"--train lora: the student {self.name!r} has no linear layers to adapt; use --train top."
            )
        return trained


def _fingerprint(model: Any) -> str:
    """Return a hash of the first bytes of each weight tensor."""
    known = hashlib.sha256()
    for name, weights in model.named_parameters():
        known.update(name.encode())
        known.update(weights.detach().reshape(-1)[: _HASHED_BYTES // 4].float().cpu().numpy().tobytes())
    return known.hexdigest()[:20]
