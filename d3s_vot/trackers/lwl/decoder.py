"""The decoder of LWL: from an encoding of the mask, and what the trunk sees, to the mask's logits, coarse to fine."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = {"layer4": 4, "layer3": 2, "layer2": 2, "layer1": 1}  # of the levels, as they are gone through; the last is 1
TRUNK = {"layer4": 2048, "layer3": 1024, "layer2": 512, "layer1": 256}


def resized(x: Tensor, size_hw: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear: B x c x h x w to B x c x H x W."""
    return F.interpolate(x, size_hw, mode="bilinear", align_corners=False)


class Merge(nn.Module):
    """The trunk's features made narrow, and the encoding mixed in."""

    def __init__(self, wide: int, width: int, encoding: int) -> None:
        super().__init__()
        both = width + encoding
        self.reduce = nn.Sequential(nn.Conv2d(wide, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1))
        self.transform = nn.Sequential(
            nn.Conv2d(both, both, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(both, both, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(both, width, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, features: Tensor, encoding: Tensor) -> tuple[Tensor, Tensor]:
        """Narrow features, B x width x h x w, and the same with the encoding."""
        narrow = self.reduce(features)
        mixed = torch.cat([narrow, resized(encoding, narrow.shape[-2:])], dim=1)
        return narrow, self.transform(mixed)


class Refine(nn.Module):
    """A residual block behind a 1x1 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.bblock = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1x1(x)
        return F.relu(x + self.bblock(x))


class Attend(nn.Module):
    """Channels weighed by what they and the coarser level are like on the whole."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convreluconv = nn.Sequential(nn.Conv2d(2 * width, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1))

    def forward(self, finer: Tensor, coarser: Tensor) -> Tensor:
        """B x width x h x w each, or 1 x 1 for what is coarser."""
        means = torch.cat([x.mean(dim=(2, 3), keepdim=True) for x in (finer, coarser)], dim=1)
        return torch.sigmoid(self.convreluconv(means)) * finer + resized(coarser, finer.shape[-2:])


class Project(nn.Module):
    """The finest level to logits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(width // 2, 1, 3, padding=1)

    def forward(self, x: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """B x width x h x w -> B x H x W."""
        twice = (2 * x.shape[-2], 2 * x.shape[-1])
        x = F.relu(self.conv1(F.interpolate(x, twice, mode="bicubic", align_corners=False)))
        return self.conv2(F.interpolate(x, size_hw, mode="bicubic", align_corners=False))[:, 0]


class Decoder(nn.Module):
    """Encoding and the trunk's features to logits of the mask.

    Args:
        encoding: channels of it.
        finest: channels of the finest level; published 64.
    """

    def __init__(self, encoding: int, finest: int) -> None:
        super().__init__()
        widths = {name: finest * times for name, times in WIDTHS.items()}
        self.TSE = nn.ModuleDict({name: Merge(TRUNK[name], width, encoding) for name, width in widths.items()})
        self.RRB1, self.RRB2 = (nn.ModuleDict({k: Refine(width) for k, width in widths.items()}) for _ in range(2))
        self.CAB = nn.ModuleDict({name: Attend(width) for name, width in widths.items()})
        self.proj = nn.ModuleDict({
            name: nn.Sequential(nn.Conv2d(widths[before], widths[name], 1), nn.ReLU())
            for before, name in pairwise(widths)
        })  # fmt: skip
        self.project = Project(widths["layer1"])

    def levels(self, encoding: Tensor, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """What comes out of each level, the coarsest first: B x width x h x w."""
        found: dict[str, Tensor] = {}
        last: Tensor | None = None
        for name in WIDTHS:
            narrow, mixed = self.TSE[name](features[name], encoding)
            coarser = narrow.mean(dim=(2, 3), keepdim=True) if last is None else self.proj[name](last)
            last = found[name] = self.RRB2[name](self.CAB[name](self.RRB1[name](mixed), coarser))
        return found

    def forward(self, encoding: Tensor, features: dict[str, Tensor], size_hw: tuple[int, int]) -> Tensor:
        """Logits, B x H x W.

        Args:
            encoding: B x 16 x h x w.
            features: of the trunk, by the names of its layers.
            size_hw: (H, W) of the logits.
        """
        return self.project(self.levels(encoding, features)["layer1"], size_hw)
