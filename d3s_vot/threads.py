"""How many CPU threads the libraries use."""

from __future__ import annotations


def use_threads(count: int | None) -> None:
    """Set the number of CPU threads of PyTorch and OpenCV; None leaves them as they are."""
    if count is None:
        return
    import cv2  # both take long to import, and a program that sets nothing may need neither
    import torch

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
