"""Features as the online models take them."""

from __future__ import annotations

from torch import Tensor


def normalize_features(features: Tensor) -> Tensor:
    """Features of unit mean square, each item of the batch by itself (B x C x H x W in and out)."""
    energy = features.square().mean(dim=(1, 2, 3), keepdim=True)  # B x 1 x 1 x 1
    return features / (energy + 1e-10).sqrt()
