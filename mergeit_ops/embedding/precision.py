"""The precision of a model's matrix products."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_FIRST_WITH_BFLOAT16 = 8  # major compute capability
_KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
_KEPT_KERNELS = 16


def limit_kernel_caches() -> None:
    """Make oneDNN keep only a few of its kernels, unless the environment sets the number.

    oneDNN creates a kernel with its own memory for each shape of a matrix product in bfloat16. By default it keeps
    1,024 of them, and PyTorch keeps another 1,024. Texts of all lengths have thousands of shapes, so memory would grow
    by gigabytes. Creating a kernel again takes no measurable time. oneDNN reads the setting once, before the first
    product of the process; later calls have no effect.
    """
    for name in _KERNEL_CACHES:
        os.environ.setdefault(name, str(_KEPT_KERNELS))


def takes_bfloat16(device: str, dtype: str) -> bool:
    """Return whether a model should multiply in bfloat16.

    Sums, norms and softmax stay in float32 (autocast), so embeddings keep a cosine of 0.9999 to those of float32.

    :param device: torch device.
    :param dtype: one of `DTYPES`. `auto` depends on the instructions of the device, never on measured time, so the same
        machine always gives the same embeddings.
    """
    if dtype != "auto":
        return dtype == "bfloat16"
    import torch

    if device.startswith("cuda"):
        # Ampere or later. torch's own check also counts emulation.
        return torch.cuda.get_device_capability(device)[0] >= _FIRST_WITH_BFLOAT16
    # On other devices it is emulated, which is slower than float32.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return device == "cpu" and any(getattr(torch.cpu, name, bool)() for name in names)


def precision(device: str, bfloat16: bool) -> AbstractContextManager[object]:
    """Return the context in which a model should run.

    :param device: torch device.
    :param bfloat16: whether to multiply in bfloat16.
    """
    if not bfloat16:
        return nullcontext()
    import torch

    return torch.autocast(device.partition(":")[0], dtype=torch.bfloat16)


def narrow_weights(model: torch.nn.Module) -> None:
    """Store the weights of linear layers in bfloat16, for a model that always runs in a `precision` context with
    bfloat16.

    Autocast would convert them in each forward pass, with the same result. For a small batch, this conversion takes a
    third of the time.
    """
    import torch

    for module in model.modules():
        # The weights of a subclass may be used by other code.
        if type(module) is torch.nn.Linear:
            module.to(torch.bfloat16)
