"""The network of DropMAE: an encoder of what is left of two frames, and a decoder that fills in what is masked.

Wu et al., CVPR 2023; masked autoencoders: He et al., CVPR 2022. Names of the tensors are those of the published files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3s_vot.trunks.vit import NORM_EPS, PATCH, SIZES, Block, Normalise, PatchEmbedding, ViTSize, sine_positions
from train.tasks.dropmae_dropout import dropped


@dataclass(frozen=True)
class DropMAESize:
    """How large the network is.

    Attributes:
        encoder: which becomes a tracker's trunk.
        decoder: which does not.
        side: tokens along a side of a frame.
    """

    encoder: ViTSize
    decoder: ViTSize
    side: int = 14

    @property
    def tokens(self) -> int:
        """Of a frame."""
        return self.side**2


# By the name of the encoder; that of vit-base is published.
DECODERS = {"vit-base": ViTSize(512, 8, 16), "vit-tiny": ViTSize(128, 4, 4)}
KEPT = 0.25  # of the tokens of both frames
DROPPED = 0.1  # of a query's keys in its own frame, in the decoder


class Reconstruction(NamedTuple):
    """What the network says of B pairs of frames, L tokens together."""

    loss: Tensor  # B, the mean over the masked patches
    patches: Tensor  # B x L x 768, each normalised: 16 x 16 x 3
    masked: Tensor  # B x L, 1 where masked
    latent: Tensor  # B x kept x D, of the encoder, in the order of the draw


class DropMAENetwork(nn.Module):
    """Encoder and decoder.

    Args:
        size: of them.
    """

    pos_embed: Tensor
    decoder_pos_embed: Tensor
    temporal_pos_embed_x: nn.Parameter
    temporal_pos_embed_z: nn.Parameter
    decoder_temporal_pos_embed_x: nn.Parameter
    decoder_temporal_pos_embed_z: nn.Parameter

    def __init__(self, size: DropMAESize) -> None:
        super().__init__()
        self.size = size
        width, narrow = size.encoder.width, size.decoder.width
        self.normalise = Normalise()
        self.patch_embed = PatchEmbedding(width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, narrow))
        for prefix, channels in (("", width), ("decoder_", narrow)):
            row = torch.zeros(1, 1, channels, device="cpu")  # of a class token, which there is none of
            self.register_buffer(f"{prefix}pos_embed", torch.cat([row, sine_positions(channels, size.side)], dim=1))
            for frame in ("x", "z"):
                self.register_parameter(
                    f"{prefix}temporal_pos_embed_{frame}", nn.Parameter(torch.zeros(1, 1, channels))
                )
        self.blocks = nn.ModuleList(Block(size.encoder) for _ in range(size.encoder.depth))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.decoder_embed = nn.Linear(width, narrow)
        self.decoder_blocks = nn.ModuleList(Block(size.decoder) for _ in range(size.decoder.depth))
        self.decoder_norm = nn.LayerNorm(narrow, eps=NORM_EPS)
        self.decoder_pred = nn.Linear(narrow, PATCH * PATCH * 3)
        self._initialise()

    @classmethod
    def on(cls, encoder: str) -> DropMAENetwork:
        """The network with an encoder of this name."""
        return cls(DropMAESize(SIZES[encoder], DECODERS[encoder]))

    def _initialise(self) -> None:
        """As published for masked autoencoders."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        for parameter in self.parameters(recurse=False):
            nn.init.normal_(parameter, std=0.02)

    def forward(
        self, x: Tensor, z: Tensor, noise: Tensor, generator: torch.Generator | None = None
    ) -> Reconstruction:
        """Mask, encode, decode.

        Args:
            x: the earlier frames, B x 3 x S x S RGB, 0..255.
            z: the later ones.
            noise: B x L, numbers of all tokens, x's first; those with the smallest stay.
            generator: of the decoder's dropout; None: nothing is dropped.
        """
        x, z = self.normalise(x), self.normalise(z)
        order = noise.argsort(dim=1)  # B x L
        kept = order[:, : int(noise.shape[1] * KEPT)]
        masked = torch.ones_like(noise).scatter(1, kept, 0.0)
        latent = self.encode(x, z, kept)
        patches = self.decode(latent, order, generator)
        wanted = normalised_patches(torch.cat([cut_patches(x), cut_patches(z)], dim=1))
        error = (patches.float() - wanted).square().mean(dim=2)  # B x L
        return Reconstruction((error * masked).sum(dim=1) / masked.sum(dim=1), patches, masked, latent)

    def encode(self, x: Tensor, z: Tensor, kept: Tensor) -> Tensor:
        """Features of the tokens at these places (B x kept), in their order: B x kept x D."""
        positions = self.pos_embed[:, 1:]
        tokens = torch.cat(
            [
                self.patch_embed(x) + self.temporal_pos_embed_x + positions,
                self.patch_embed(z) + self.temporal_pos_embed_z + positions,
            ],
            dim=1,
        )  # B x L x D
        tokens = tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[2]))
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def decode(self, latent: Tensor, order: Tensor, generator: torch.Generator | None) -> Tensor:
        """All patches, from the features of those that were kept: B x L x 768.

        Args:
            latent: B x kept x D.
            order: B x L, places of all tokens, those that were kept first.
            generator: see `forward`.
        """
        seen = self.decoder_embed(latent)
        batch, kept, width = seen.shape
        hidden = self.mask_token.to(seen.dtype).expand(batch, order.shape[1] - kept, width)
        back = order.argsort(dim=1)[..., None].expand(-1, -1, width)
        tokens = torch.cat([seen, hidden], dim=1).gather(1, back)  # B x L x D'
        positions = self.decoder_pos_embed[:, 1:]
        frames = [self.decoder_temporal_pos_embed_x + positions, self.decoder_temporal_pos_embed_z + positions]
        tokens = tokens + torch.cat(frames, dim=1)

        def drop(scores: Tensor) -> Tensor:
            assert generator is not None
            return scores.masked_fill(dropped(scores, DROPPED, generator), -torch.inf)

        for block in self.decoder_blocks:
            tokens = block(tokens, None if generator is None else drop)
        return self.decoder_pred(self.decoder_norm(tokens))


def cut_patches(images: Tensor) -> Tensor:
    """B x 3 x S x S -> B x n x 768, row by row; a patch by row, column, colour."""
    batch, _, height, width = images.shape
    grid = images.view(batch, 3, height // PATCH, PATCH, width // PATCH, PATCH)
    return grid.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, PATCH * PATCH * 3)


def join_patches(patches: Tensor) -> Tensor:
    """The way back: B x n² x 768 -> B x 3 x 16 n x 16 n."""
    batch, count, _ = patches.shape
    side = round(count**0.5)
    grid = patches.view(batch, side, side, PATCH, PATCH, 3)
    return grid.permute(0, 5, 1, 3, 2, 4).reshape(batch, 3, side * PATCH, side * PATCH)


def normalised_patches(patches: Tensor) -> Tensor:
    """Each patch minus its mean, over its deviation: B x n x 768."""
    mean, variance = patches.mean(dim=2, keepdim=True), patches.var(dim=2, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
