"""The plain vision transformer of OSTrack, DropTrack, DropSeg and DropMAE: blocks over tokens, no convolutions but one.

Dosovitskiy et al., ICLR 2021. Names of the parameters are those of the published files (`patch_embed.proj`,
`blocks.N.attn.qkv`, `blocks.N.mlp.fc1`, `norm`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 16  # side of the square of pixels that becomes a token
NORM_EPS = 1e-6
MEAN = (0.485, 0.456, 0.406)  # of ImageNet's colours, on the scale 0..1
STD = (0.229, 0.224, 0.225)

# From scores (B x heads x L x L) to those that the softmax takes.
Adjust = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ViTSize:
    """How large a transformer is; its MLPs are four times as wide as its tokens.

    Attributes:
        width: channels of a token.
        depth: blocks.
        heads: of each block's attention.
    """

    width: int
    depth: int
    heads: int


SIZES = {"vit-base": ViTSize(768, 12, 12), "vit-tiny": ViTSize(192, 12, 3)}


class Attention(nn.Module):
    """Self-attention over all tokens, scaled by the root of a head's width.

    Fused, by `scaled_dot_product_attention`, where the probabilities are of no interest; explicit where the scores are
    changed before the softmax. Both give the same up to rounding.

    Args:
        width: of the tokens.
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values of tokens: B x L x D -> B x heads x L x D/heads each."""
        batch, length, width = x.shape
        shape = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(x).reshape(shape).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def join(self, x: Tensor) -> Tensor:
        """What the heads found, mixed: B x heads x L x D/heads -> B x L x D."""
        return self.proj(x.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, adjust: Adjust | None = None) -> Tensor:
        """B x L x D -> B x L x D.

        Args:
            x: the tokens.
            adjust: changes the scores; the attention is explicit then.
        """
        q, k, v = self.split(x)
        if adjust is None:
            return self.join(F.scaled_dot_product_attention(q, k, v))
        scores = adjust(q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5)  # B x heads x L x L
        return self.join(scores.softmax(dim=-1) @ v)

    def with_row(self, x: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """The attention, and how much one token looks at every other.

        That token's probabilities are worked out explicitly, a row for each head; all else is fused.

        Returns:
            B x L x D, and the mean over the heads of the token's probabilities: B x L.
        """
        q, k, v = self.split(x)
        scores = q[:, :, row : row + 1] @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # B x heads x 1 x L
        looks = scores.softmax(dim=-1).mean(dim=1)[:, 0]  # B x L
        return self.join(F.scaled_dot_product_attention(q, k, v)), looks


class MLP(nn.Module):
    """Two layers with the exact GELU between them, on every token by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """B x L x D -> B x L x D."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each added to what goes in, each behind a normalisation.

    Args:
        size: of the transformer.
        drop_path: in training, the probability that one of the two is left out for a whole item.
    """

    def __init__(self, size: ViTSize, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(size.width, eps=NORM_EPS)
        self.attn = Attention(size.width, size.heads)
        self.norm2 = nn.LayerNorm(size.width, eps=NORM_EPS)
        self.mlp = MLP(size.width)
        self.drop_path = drop_path

    def forward(self, x: Tensor, adjust: Adjust | None = None) -> Tensor:
        """B x L x D -> B x L x D; `adjust` as for `Attention`."""
        return self.feed(x + self.kept(self.attn(self.norm1(x), adjust)))

    def looking(self, x: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """The first half, attention added, and how much token `row` looks at every other; see `Attention.with_row`."""
        found, looks = self.attn.with_row(self.norm1(x), row)
        return x + self.kept(found), looks

    def feed(self, x: Tensor) -> Tensor:
        """The second half, the MLP's answer added: B x L x D -> B x L x D."""
        return x + self.kept(self.mlp(self.norm2(x)))

    def kept(self, x: Tensor) -> Tensor:
        """In training, zero for some of the items, and larger in proportion for the others."""
        if not self.training or self.drop_path == 0:
            return x
        keep = 1 - self.drop_path
        return x * (torch.rand(len(x), 1, 1, device=x.device) < keep) / keep


class PatchEmbedding(nn.Module):
    """Squares of 16 x 16 pixels to tokens, row by row.

    Args:
        width: of a token.
        channels: of the picture.
    """

    def __init__(self, width: int, channels: int = 3) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, PATCH, PATCH)

    def forward(self, images: Tensor) -> Tensor:
        """B x C x H x W, multiples of 16 -> B x (H/16 W/16) x D."""
        return self.proj(images).flatten(2).transpose(1, 2)


class Normalise(nn.Module):
    """RGB on the scale 0..255 to what the published weights take: ImageNet's mean and deviation."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values, device="cpu").view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """B x 3 x H x W -> the same, float."""
        return (images / 255 - self.mean) / self.std


def resize_positions(positions: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Positions of a square grid for another grid: bicubic (a = -0.75), half-pixel centres, no antialiasing.

    Args:
        positions: 1 x n² x D, row by row.
        size_hw: rows and columns of the other grid.

    Returns:
        1 x (h w) x D; the very same where the grid is.
    """
    side = round(positions.shape[1] ** 0.5)
    if (side, side) == size_hw:
        return positions
    grid = positions.transpose(1, 2).unflatten(2, (side, side))  # 1 x D x n x n
    resized = F.interpolate(grid, size=size_hw, mode="bicubic", align_corners=False)
    return resized.flatten(2).transpose(1, 2)


def sine_positions(width: int, side: int) -> Tensor:
    """Fixed positions of a square grid (He et al., MAE, CVPR 2022): 1 x side² x width.

    The first half of the channels encodes the column, the second the row; each is [sin(p w_k), cos(p w_k)] with
    w_k = 10000^(-k / (width / 4)).
    """
    rates = 10000.0 ** (-torch.arange(width // 4, dtype=torch.float64, device="cpu") / (width // 4))
    angles = torch.arange(side, dtype=torch.float64, device="cpu")[:, None] * rates  # side x width/4
    half = torch.cat([angles.sin(), angles.cos()], dim=1)  # side x width/2
    columns = half[None, :].expand(side, -1, -1)
    rows = half[:, None].expand(-1, side, -1)
    return torch.cat([columns, rows], dim=2).reshape(1, side * side, width).float()
