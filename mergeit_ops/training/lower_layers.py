"""The frozen lower layers of a student. Their states of a text are computed once.

After each training, held-out rows then pass through the upper layers only. This works with models that keep their
layers in one list, and whose layers take hidden states as their first argument. `Student` checks both on a short text
before it uses the states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["LowerLayers", "decoder_layers"]


class _EnoughError(Exception):
    """Ends a forward pass at the first trained layer."""


class _LowerLayer(nn.Module):
    """A layer that can be skipped."""

    def __init__(self, layer: nn.Module, switch: LowerLayers) -> None:
        super().__init__()
        self.layer = layer
        self._switch = switch

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(self, hidden_states: Any, *arguments: Any, **options: Any) -> Any:
        switch = self._switch
        if switch.is_passed_by:
            return (hidden_states,) if switch.gives_tuples else hidden_states
        found = self.layer(hidden_states, *arguments, **options)
        switch.gives_tuples = isinstance(found, tuple)
        return found


class LowerLayers:
    """The layers of a model below the first trained one.

    :param layers: list of the model's layers; its first `count` entries are replaced by wrappers.
    :param count: number of layers that are never trained, >= 1 and less than all.
    """

    def __init__(self, layers: nn.ModuleList, count: int) -> None:
        self.is_passed_by = False
        self.gives_tuples = False
        self._given: Any = None
        self._taken: Any = None
        for number in range(count):
            layers[number] = _LowerLayer(layers[number], self)
        layers[count].register_forward_pre_hook(self._at_border, with_kwargs=True)

    def states(self, body: nn.Module, ids: Any) -> Any:
        """Return the hidden states that the lower layers compute for texts.

        :param body: the model, or its part without the output head.
        :param ids: (b, l) token ids.
        :return: (b, l, d) hidden states.
        """
        self._taken = None
        with torch.no_grad(), self._stopping():
            body(input_ids=ids, use_cache=False)
        taken, self._taken = self._taken, None
        return taken

    @contextmanager
    def passed_by(self, states: Any) -> Iterator[None]:
        """Skip the lower layers: the model continues from their hidden states.

        :param states: (b, l, d) hidden states of the lower layers.
        """
        self.is_passed_by, self._given = True, states
        try:
            yield
        finally:
            self.is_passed_by, self._given = False, None

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        self._stops = True
        try:
            yield
        except _EnoughError:
            pass
        finally:
            self._stops = False

    _stops = False

    def _at_border(self, module: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        named = not arguments
        if self._stops:
            self._taken = options["hidden_states"] if named else arguments[0]
            raise _EnoughError
        if self._given is None:
            return None
        if named:
            return arguments, {**options, "hidden_states": self._given}
        return (self._given, *arguments[1:]), options


def decoder_layers(model: Any) -> nn.ModuleList | None:
    """Return the list of a model's layers.

    :param model: a causal language model of Hugging Face.
    :return: the list, or None if the model has no such list or several.
    """
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    lists = [part for part in model.modules() if isinstance(part, nn.ModuleList) and len(part) == count]
    return lists[0] if len(lists) == 1 else None
