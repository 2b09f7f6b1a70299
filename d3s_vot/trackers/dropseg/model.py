"""The loaded network of DropSeg on one device, shared by many targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.given import Frame, Given
from d3s_vot.model import Model
from d3s_vot.online.rivals import against_rivals
from d3s_vot.trackers.dropseg import weights
from d3s_vot.trackers.dropseg.config import DropSegConfig
from d3s_vot.trackers.dropseg.network import DropSegNetwork
from d3s_vot.trackers.dropseg.target import DropSegTarget
from d3s_vot.trackers.dropseg.views import View, aggregate
from d3s_vot.trunks.vit import SIZES, Normalise
from d3s_vot.weights.checkpoint import Checkpoint
from d3s_vot.weights.fitting import load_exactly

# Objects at once through the network. On a CPU two take as long as one after the other.
CHUNK = {"cpu": 1, "cuda": 8}
ASPECT = 854 / 480  # of the frames that the networks are compiled for

# A frame, how it is looked at, the memory's tokens and the positions (1 x n x D each).
Question: TypeAlias = tuple[Frame, View, Tensor, Tensor]
# A probability of one object by itself (H' x W'), how the frame was looked at, and its size.
Claim: TypeAlias = tuple[Tensor, View, tuple[int, int]]


class MemorySide(nn.Module):
    """A normalised frame (B x 3 x H x W), its mask (B x 1 x H x W) and positions (B x n x D) to tokens: B x n x D."""

    def __init__(self, network: DropSegNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, masks: Tensor, positions: Tensor) -> Tensor:
        return self.network.embed_memory(images, masks, positions)


class DropSegModel(Model):
    """Networks without state; every method is a function of its arguments.

    Compiled networks, of the preset fast on a CPU, are for frames of 480 x 854 pixels; others go through those that are
    not compiled.

    Args:
        network: with its weights.
        config: of the network, and what it looks at.
        device: where it runs.
    """

    name = weights.TRACKER
    gives_masks = joins_masks = True
    rules = {"published": DropSegConfig()}  # noqa: RUF012 - a mapping that nobody changes
    config: DropSegConfig
    constants, check = staticmethod(weights.constants), staticmethod(weights.check)

    def __init__(self, network: DropSegNetwork, config: DropSegConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        names = {size: name for name, size in SIZES.items()}
        self.architecture = names.get(config.size, f"vit {config.width} x {config.depth}")
        self._network = network.to(device).eval().requires_grad_(False)
        self._normalise = Normalise().to(device)
        self._of_any_size: dict[str, nn.Module] = {
            "memory": MemorySide(self._network).eval(),
            "query": self._network,
        }
        self._compiled_hw = tuple(16 * n for n in self._example_view().grid_hw)
        self.networks = dict(self._of_any_size)

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, device: torch.device, config: DropSegConfig, trunk: Path | None = None
    ) -> DropSegModel:
        """See `Model.from_checkpoint`; the checkpoint has the trunk's weights."""
        with torch.device("cpu"):  # whatever the caller makes its own networks on
            network = DropSegNetwork(config)
        load_exactly(network, checkpoint.tensors, "DropSeg")
        return cls(network, config, device)

    def examples(self) -> dict[str, tuple[Tensor, ...]]:
        """See `Model.examples`."""
        view = self._example_view()
        height, width = (16 * n for n in view.grid_hw)
        image = torch.zeros(1, 3, height, width, device=self.device)
        mask, positions = torch.zeros(1, 1, height, width, device=self.device), self.positions(view.grid_hw)
        memory = self._of_any_size["memory"](image, mask, positions)
        return {"memory": (image, mask, positions), "query": (image, memory, positions)}

    def _example_view(self) -> View:
        side = self.config.shorter_side
        return View.of((side, int(side * ASPECT)), side)

    def begin(self, frame: Frame, given: Given) -> DropSegTarget:
        """See `Model.begin`."""
        return DropSegTarget(self, frame, given)

    def _of_size(self, name: str, images: Tensor) -> nn.Module:
        """The network of a name for pictures of this size."""
        fitting = tuple(images.shape[2:]) == self._compiled_hw or self.device.type != "cpu"
        return (self.networks if fitting else self._of_any_size)[name]

    def _look(self, frame: Frame, view: View) -> Tensor:
        """A frame as the network takes it: 1 x 3 x H' x W'."""
        return view.image(self._normalise(frame.on(self.device).float()))

    # What the targets of a frame share.

    def positions(self, grid_hw: tuple[int, int]) -> Tensor:
        """Of the tokens of a frame: 1 x n x D."""
        return self._network.positions(grid_hw).contiguous()

    @stage("template")
    def remember(self, frame: Frame, mask: NDArray[np.bool_], view: View, positions: Tensor) -> Tensor:
        """Tokens of a frame with a mask (H x W): 1 x n x D."""
        images = self._look(frame, view)
        masks = view.mask(torch.from_numpy(mask.astype(np.float32))[None, None].to(self.device))
        return self._of_size("memory", images)(images, masks, positions)

    @stage("network")
    def segment(self, questions: Sequence[Question]) -> list[Tensor]:
        """The probability of each object by itself, H' x W' of the padded view."""
        size = CHUNK[self.device.type]
        looks: dict[tuple[int, View], Tensor] = {}  # targets of one video look at a frame in the same way
        groups: dict[View, list[int]] = {}
        for place, (frame, view, *_) in enumerate(questions):
            groups.setdefault(view, []).append(place)
            if (id(frame), view) not in looks:
                looks[id(frame), view] = self._look(frame, view)
        found: dict[int, Tensor] = {}
        for view, places in groups.items():
            for start in range(0, len(places), size):
                some = places[start : start + size]
                images = torch.cat([looks[id(questions[place][0]), view] for place in some])
                memory = torch.cat([questions[place][2] for place in some])  # B x n x D
                positions = torch.cat([questions[place][3] for place in some])
                maps = self._of_size("query", images)(images, memory, positions)  # B x 1 x H' x W'
                found |= zip(some, maps[:, 0].float(), strict=True)
        return [found[place] for place in range(len(questions))]

    @stage("aggregate")
    def share(self, claims: Sequence[Claim]) -> list[NDArray[np.float32]]:
        """What is each object's in the frame that all claim: H x W, above 1/2 where the pixel is its; see
        `against_rivals`."""
        views = {view for _, view, _ in claims}
        if len(views) == 1:
            (view,) = views
            maps = view.back(aggregate(torch.stack([probability for probability, *_ in claims])), claims[0][2])
        else:  # objects whose first frames were of other sizes: joined in the frame
            maps = aggregate(torch.cat([view.back(p[None], image_hw) for p, view, image_hw in claims]))
        return list(against_rivals(maps))
