"""Which device computes."""

from __future__ import annotations

import torch

from d3s_vot.errors import InputError


def choose_device(device: str | torch.device) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.

    Raises:
        InputError: unknown, or not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"there is no device {device!r}; use auto, cpu or cuda") from error
    if chosen.type not in ("cpu", "cuda"):
        raise InputError(f"the device {str(device)!r} is not supported; use auto, cpu or cuda")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise InputError(f"this machine has no CUDA device {chosen.index or 0}; choose cpu or auto instead")
    return chosen
