"""GIM and the refinement pathway: the part of D3S that is trained offline (paper sections 3.1 and 3.3).

The network is stateless. The template side of GIM depends on the first frame alone: `encode_template` makes it
once, `forward` takes it with every search crop. Shapes are for crops of 384 x 384 pixels
and the published width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.compute.timing import stage

Features = Mapping[int, Tensor]  # stride -> B x C x H x W


class Template(NamedTuple):
    """What GIM keeps of the first frame: unit vectors of every location, and which of them are the target."""

    vectors: Tensor  # B x 64 x 576
    target: Tensor  # B x 576, 1 on the target


def _block(cin: int, cout: int, kernel: int = 3, relu: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(cin, cout, kernel, padding=kernel // 2), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class SegmentationNetwork(nn.Module):
    """GIM, mixer and refinement over the features of a trunk; state dict as in the published checkpoint.

    Args:
        channels: of the trunk at stride 2, 4, 8, 16.
        top_k: template locations whose similarities are averaged.
        width: of the refinement pathway, in multiples of the published one.
    """

    def __init__(self, channels: tuple[int, int, int, int], top_k: int = 3, width: int = 1) -> None:
        super().__init__()
        c1, l1, l2, l3 = channels  # names of the specification
        r3, r2, r1 = 32 * width, 16 * width, 4 * width  # of the refinement, at stride 8, 4, 2
        self.top_k, self.width = top_k, width
        self.segment0 = _block(l3, 64, kernel=1)
        self.segment1 = _block(64, 64, relu=False)
        self.mixer = _block(3, 64)
        self.s3 = _block(64, r3)
        self.f2, self.s2, self.post2 = _block(l2, r3), _block(r3, r3), _block(r3, r2)
        self.f1, self.s1, self.post1 = _block(l1, r2), _block(r2, r2), _block(r2, r1)
        self.f0, self.s0 = _block(c1, r1), _block(r1, r1)
        self.post0 = _block(r1, 2, relu=False)

    def embed(self, features: Features) -> Tensor:
        """Unit vectors of every location at stride 16: B x 64 x 24 x 24."""
        return F.normalize(self.segment1(self.segment0(features[16])), dim=1)

    @stage("network")
    def encode_template(self, features: Features, mask: Tensor) -> Template:
        """The template side of GIM.

        Args:
            features: of the template crop.
            mask: B x 1 x 384 x 384 in 0..1, the target in the template crop.
        """
        vectors = self.embed(features)  # B x 64 x 24 x 24
        mask = F.interpolate(mask, size=vectors.shape[-2:], mode="nearest")  # B x 1 x 24 x 24
        return Template(vectors.flatten(2), mask.flatten(1))

    def similarity(self, vectors: Tensor, template: Template) -> tuple[Tensor, Tensor]:
        """Similarity of every search location to target and background: B x 24 x 24 each."""
        b, _, h, w = vectors.shape
        cosine = torch.bmm(vectors.flatten(2).transpose(1, 2), template.vectors)  # B x 576 search x 576 template
        target = template.target[:, None]  # B x 1 x 576
        maps = [
            (cosine * weight).topk(self.top_k, dim=2).values.mean(dim=2).view(b, h, w)
            for weight in (target, 1 - target)
        ]
        return maps[0], maps[1]

    @stage("network")
    def forward(self, features: Features, template: Template, location: Tensor) -> Tensor:
        """Segment a search crop.

        Args:
            features: of the search crop.
            template: from `encode_template`.
            location: B x 1 x 384 x 384, distance of each pixel from GEM's answer, in pixels.

        Returns:
            B x 2 x 384 x 384 logits; channel 0 is the target, its probability softmax(logits)[0].
        """
        return self._decode(features, *self.similarity(self.embed(features), template), location)

    @stage("network")
    def inspect(self, features: Features, template: Template, location: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, and the similarities to target and background beside it: B x 2 x 24 x 24."""
        similarities = self.similarity(self.embed(features), template)
        return self._decode(features, *similarities, location), torch.stack(similarities, dim=1)

    def _decode(self, features: Features, target: Tensor, background: Tensor, location: Tensor) -> Tensor:
        """Logits from the similarities (B x 24 x 24 each)."""
        posterior = torch.softmax(torch.stack([target, background], dim=1), dim=1)[:, :1]  # B x 1 x 24 x 24
        location = F.interpolate(location, size=target.shape[-2:], mode="nearest")  # B x 1 x 24 x 24
        x = self.mixer(torch.cat([posterior, target[:, None], location], dim=1))  # B x 64 x 24 x 24
        x = self.s3(_up(x))  # B x 32 x 48 x 48
        x = self.post2(_up(self.f2(features[8]) + self.s2(x)))  # B x 16 x 96 x 96
        x = self.post1(_up(self.f1(features[4]) + self.s1(x)))  # B x 4 x 192 x 192
        return self.post0(_up(self.f0(features[2]) + self.s0(x)))  # B x 2 x 384 x 384


def location_channel(centers: Tensor, size: int = 384) -> Tensor:
    """Distance of every pixel of the crop from a point.

    Args:
        centers: B x 2, (x, y) in pixels counted from 1, as published: the middle of a crop is (192, 192).

    Returns:
        B x 1 x size x size.
    """
    axis = torch.arange(1, size + 1, device=centers.device, dtype=torch.float32)
    dx = axis.view(1, 1, 1, -1) - centers[:, 0].view(-1, 1, 1, 1)  # B x 1 x 1 x 384
    dy = axis.view(1, 1, -1, 1) - centers[:, 1].view(-1, 1, 1, 1)  # B x 1 x 384 x 1
    return torch.sqrt(dx**2 + dy**2)
