"""The network of OSTrack and DropTrack: one transformer over template and search tokens, and a head of convolutions.

Ye et al., ECCV 2022, section 3; names of the parameters are those of the published files.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.elimination import restore, strongest
from d3s_vot.trunks.trunk import fold_batch_norm
from d3s_vot.trunks.vit import NORM_EPS, Block, Normalise, PatchEmbedding

HEAD_CHANNELS = (256, 128, 64, 32)
SMALLEST, LARGEST = 1e-4, 1 - 1e-4  # of scores and sizes


class Backbone(nn.Module):
    """The transformer, with positions for both crops.

    Args:
        config: how large it is, and which tokens are eliminated.
        drop_path: in training, of the last block; that of the others rises to it from 0.
    """

    def __init__(self, config: OSTrackConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        width, depth = config.width, config.depth
        self.config = config
        self.centre_token, self.kept = config.centre_token, config.kept
        self.search_tokens = config.search_side**2
        self.normalise = Normalise()
        self.patch_embed = PatchEmbedding(width)
        self.pos_embed_z = nn.Parameter(torch.zeros(1, config.template_side**2, width))
        self.pos_embed_x = nn.Parameter(torch.zeros(1, self.search_tokens, width))
        self.temporal = bool(config.temporal)
        if self.temporal:
            self.temporal_pos_embed_z = nn.Parameter(torch.zeros(1, 1, width))
            self.temporal_pos_embed_x = nn.Parameter(torch.zeros(1, 1, width))
        rates = [drop_path * n / max(depth - 1, 1) for n in range(depth)]
        self.blocks = nn.ModuleList(Block(config.size, rate) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def eliminate(self, keep_ratio: float) -> None:
        """From now on keep this share of the search tokens at each elimination, as training does from step to step."""
        self.kept = replace(self.config, keep_ratio=keep_ratio).kept

    def embed_template(self, images: Tensor) -> Tensor:
        """Tokens of template crops (B x 3 x Z x Z RGB, 0..255), which no search crop changes: B x nz x D."""
        tokens = self.patch_embed(self.normalise(images)) + self.pos_embed_z
        return tokens + self.temporal_pos_embed_z if self.temporal else tokens

    def embed_search(self, images: Tensor) -> Tensor:
        """Tokens of search crops (B x 3 x X x X RGB, 0..255): B x nx x D."""
        tokens = self.patch_embed(self.normalise(images)) + self.pos_embed_x
        return tokens + self.temporal_pos_embed_x if self.temporal else tokens

    def forward(self, template: Tensor, search: Tensor) -> Tensor:
        """Search features of tokens that look at each other.

        Args:
            template: B x nz x D.
            search: B x nx x D.

        Returns:
            B x nx x D; zero where a token was eliminated.
        """
        count = template.shape[1]
        x = torch.cat([template, search], dim=1)  # B x (nz + n) x D, n falling
        places: Tensor | None = None  # B x n, of the search tokens that are left; None: all
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            if number not in self.kept:
                x = block(x)
                continue
            x, looks = block.looking(x, self.centre_token)  # B x (nz + n)
            stay = strongest(looks[:, count:], self.kept[number])  # B x m
            x = torch.cat([x[:, :count], _gather(x[:, count:], stay)], dim=1)
            places = stay if places is None else places.gather(1, stay)
            x = block.feed(x)
        x = self.norm(x)[:, count:]
        return x if places is None else restore(x, places, self.search_tokens)


class CentreHead(nn.Module):
    """Three branches over the map of search features: where the centre is, its offset, the size of the box.

    Args:
        width: channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        for branch, outputs in (("ctr", 1), ("offset", 2), ("size", 2)):
            before = width
            for number, channels in enumerate(HEAD_CHANNELS, start=1):
                self.add_module(f"conv{number}_{branch}", _layer(before, channels))
                before = channels
            self.add_module(f"conv{len(HEAD_CHANNELS) + 1}_{branch}", nn.Conv2d(before, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """B x D x s x s -> B x 5 x s x s: score 0..1; width, height, shares of the crop; offset x, y, cells."""
        score, size, offset = (self.branch(name, features) for name in ("ctr", "size", "offset"))
        bounded = torch.cat([score, size], dim=1).sigmoid().clamp(SMALLEST, LARGEST)
        return torch.cat([bounded, offset], dim=1)

    def branch(self, name: str, x: Tensor) -> Tensor:
        """One branch: B x D x s x s -> B x outputs x s x s."""
        for number in range(1, len(HEAD_CHANNELS) + 2):
            x = self.get_submodule(f"conv{number}_{name}")(x)
        return x


class OSTrackNetwork(nn.Module):
    """Transformer and head.

    Args:
        config: how large they are.
        drop_path: in training, see `Backbone`.
    """

    def __init__(self, config: OSTrackConfig, drop_path: float = 0.0) -> None:
        super().__init__()
        self.backbone = Backbone(config, drop_path)
        self.box_head = CentreHead(config.width)
        self.side = config.search_side

    def forward(self, images: Tensor, template: Tensor) -> Tensor:
        """Maps of search crops.

        Args:
            images: B x 3 x X x X RGB, 0..255.
            template: B x nz x D, from `Backbone.embed_template`.

        Returns:
            B x 5 x s x s, see `CentreHead`.
        """
        features = self.backbone(template, self.backbone.embed_search(images))  # B x nx x D
        return self.box_head(features.transpose(1, 2).unflatten(2, (self.side, self.side)))

    def freeze(self) -> OSTrackNetwork:
        """Evaluation mode, no gradients, batch norm folded into the convolutions; returns itself."""
        self.eval().requires_grad_(False)
        fold_batch_norm(self.box_head)
        return self


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _gather(tokens: Tensor, places: Tensor) -> Tensor:
    """B x n x D and B x m -> B x m x D."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[2]))
