"""Networks in half precision, by autocast, where the device is fast in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Half(nn.Module):
    """A module under autocast.

    Args:
        module: a function of tensors.
        device: where it runs.
        precision: of what autocast knows; None: bfloat16, or float16 where the GPU has no bfloat16.
    """

    def __init__(self, module: nn.Module, device: torch.device, precision: torch.dtype | None = None) -> None:
        super().__init__()
        self.module, self._kind = module, device.type
        self._precision = precision or _half_precision(device)

    def forward(self, *inputs: Any) -> Any:
        with torch.autocast(self._kind, self._precision):
            return self.module(*inputs)


def _half_precision(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.bfloat16
    with torch.cuda.device(device):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
