"""The network of DropSeg: one transformer over the tokens of two frames, and STCN's decoder on the second one's.

Wu et al., CVPR 2023; decoder: Cheng et al., STCN, NeurIPS 2021. Names of the tensors are those of the published file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3s_vot.trackers.dropseg.config import POSITIONS_SIDE, DropSegConfig
from d3s_vot.trunks.vit import NORM_EPS, Block, PatchEmbedding, resize_positions


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of every place of a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(channels, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x h x w -> the same."""
        return self.ln(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResBlock(nn.Module):
    """Two convolutions beside what goes in, which another one brings to as many channels where they differ."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.downsample = _conv(inputs, outputs) if inputs != outputs else None
        self.conv1 = _conv(inputs, outputs)
        self.conv2 = _conv(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """B x C x h x w -> B x C' x h x w."""
        skip = x if self.downsample is None else self.downsample(x)
        return skip + self.conv2(F.relu(self.conv1(F.relu(x))))


class Upsampling(nn.Module):
    """A map of twice the resolution from a coarse one and features of that resolution."""

    def __init__(self, features: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.skip_conv = _conv(features, coarse)
        self.out_conv = ResBlock(coarse, outputs)

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """B x C1 x 2h x 2w and B x C2 x h x w -> B x C' x 2h x 2w."""
        return self.out_conv(self.skip_conv(features) + _enlarged(coarse, 2))


class Decoder(nn.Module):
    """From features at strides 16, 8 and 4 to the logit of the object at stride 1."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.compress = ResBlock(width, 2 * narrow)
        self.up_16_8 = Upsampling(2 * narrow, 2 * narrow, narrow)
        self.up_8_4 = Upsampling(narrow, narrow, narrow)
        self.pred = _conv(narrow, 1)

    def forward(self, m16: Tensor, m8: Tensor, m4: Tensor) -> Tensor:
        """B x 1 x 16h x 16w."""
        x = self.up_8_4(m4, self.up_16_8(m8, self.compress(m16)))
        return _enlarged(self.pred(F.relu(x)), 4)


class DropSegNetwork(nn.Module):
    """Transformer, pyramid, decoder.

    Args:
        config: how large they are.
    """

    pos_embed_two_frame: Tensor

    def __init__(self, config: DropSegConfig) -> None:
        super().__init__()
        width, narrow = config.width, config.decoder_width
        self.patch_embed = PatchEmbedding(width)
        self.mask_patch_embed = PatchEmbedding(width, 1)
        self.temporal_pos_embed_x = nn.Parameter(torch.zeros(1, 1, width))
        self.temporal_pos_embed_z = nn.Parameter(torch.zeros(1, 1, width))
        rows = 1 + 2 * POSITIONS_SIDE**2  # of a class token, and the same grid twice
        self.register_buffer("pos_embed_two_frame", torch.zeros(1, rows, width))
        self.blocks = nn.ModuleList(Block(config.size) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.fpn1 = nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, 2), ChannelNorm(width), nn.GELU(),
            nn.ConvTranspose2d(width, narrow, 2, 2),
        )  # fmt: skip
        self.fpn2 = nn.Sequential(nn.ConvTranspose2d(width, 2 * narrow, 2, 2))
        self.stcn_decoder = Decoder(width, narrow)

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Of the tokens of a frame, always from the grid of the weights: 1 x n x D."""
        return resize_positions(self.pos_embed_two_frame[:, 1 : 1 + POSITIONS_SIDE**2], grid_hw)

    def embed_memory(self, images: Tensor, masks: Tensor, positions: Tensor) -> Tensor:
        """Tokens of a frame whose mask is known, which no other frame changes.

        Args:
            images: B x 3 x H x W, normalised.
            masks: B x 1 x H x W, 0 or 1.
            positions: 1 x n x D.

        Returns:
            B x n x D.
        """
        return self.patch_embed(images) + self.mask_patch_embed(masks) + self.temporal_pos_embed_z + positions

    def features(self, images: Tensor, memory: Tensor, positions: Tensor) -> Tensor:
        """Tokens of both frames after the transformer, the memory's first: B x 2n x D.

        Args:
            images: B x 3 x H x W, normalised.
            memory: B x n x D.
            positions: B x n x D.
        """
        query = self.patch_embed(images) + self.temporal_pos_embed_x + positions
        x = torch.cat([memory, query], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def pyramid(self, tokens: Tensor, grid_hw: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the query at strides 16, 8, 4, from the tokens of both frames."""
        m16 = tokens[:, tokens.shape[1] // 2 :].transpose(1, 2).unflatten(2, grid_hw)  # B x D x h x w
        return m16, self.fpn2(m16), self.fpn1(m16)

    def forward(self, images: Tensor, memory: Tensor, positions: Tensor) -> Tensor:
        """Probability of the object: B x 1 x H x W; arguments as for `features`."""
        grid = (images.shape[2] // 16, images.shape[3] // 16)
        return self.stcn_decoder(*self.pyramid(self.features(images, memory, positions), grid)).sigmoid()


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _enlarged(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
