"""One target of LWL: its filter and its place, from frame to frame, as functions of what the network says."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.lwl.learner import descend, respond, zero_filter
from d3s_vot.trackers.lwl.memory import Memory
from d3s_vot.trackers.lwl.merge import next_scale, place_or
from d3s_vot.trackers.lwl.network import ENCODING, FILTER_SIDE, TARGET_CHANNELS, LWLNetwork
from d3s_vot.trackers.lwl.samples import FirstSample, Pair, Sample, search_sample


class Learnt:
    """One target. Of every frame `look` is asked for its logits; what all targets of the frame make of them is `told`.

    Args:
        network: frozen.
        config: constants.
        image: the first frame, 1 x 3 x H x W RGB, 0..255.
        mask: of the target in it, H x W, 0..1.
        box_xywh: of the target in it.

    Attributes:
        filter: 16 x 512 x 3 x 3; replaced by every update, never changed in place.
        position_yx: of the target's middle, pixels of the image.
        size_hw: of the target.
        scale: pixels of the image per pixel of the sample.
        sample: of the last frame; None at first.
        first: the first frame's.
        memory: of samples.
        probability: H x W, of the target in the last frame, beside all others.
    """

    def __init__(
        self, network: LWLNetwork, config: LWLConfig, image: Tensor, mask: Tensor, box_xywh: tuple[float, ...]
    ) -> None:
        self._network, self.config = network, config
        x, y, w, h = box_xywh
        self.position_yx: Pair = (y + (h - 1) / 2, x + (w - 1) / 2)
        self.size_hw: Pair = (h, w)
        self.scale = config.search_area_scale * math.sqrt(w * h) / math.sqrt(math.prod(config.size_hw))
        self._base_hw = (h / self.scale, w / self.scale)
        self.probability = mask
        self.sample: Sample | None = None
        self._features: Tensor | None = None  # of that sample
        self._frames = 1
        self.first = FirstSample.of(tuple(mask.shape), self.position_yx, self.scale, config.size_hw)  # type: ignore[arg-type]
        features = network.target_model(network.trunk(self.first.cut(image))["layer3"])
        label, certainty = self._labels(self.first.cut_mask(mask))
        self.memory = Memory(config, features[0], label, certainty)
        zero = zero_filter(TARGET_CHANNELS, ENCODING, FILTER_SIDE, image.device)
        self.filter = self._descend(zero, config.first_steps)

    def look(self, image: Tensor) -> Tensor:
        """The logits of the next frame (1 x 3 x H x W) by this target's filter alone: H x W."""
        self._frames += 1
        self._learn_last()
        self._follow()
        height, width = image.shape[2:]
        self.sample = search_sample((height, width), self.position_yx, self.scale, self.config.size_hw)
        levels = self._network.trunk(self.sample.cut(image))
        self._features = self._network.target_model(levels["layer3"])
        encoding = respond(self.filter, self._features)
        logits = self._network.decoder(encoding, levels, self.config.size_hw)[0]
        return self.sample.paste(logits, (height, width))

    def told(self, probability: Tensor) -> None:
        """What the last frame's pixels are taken to be of this target: H x W, 0..1."""
        self.probability = probability

    @property
    def box_xywh(self) -> tuple[float, float, float, float]:
        """Around the last frame's probability; where there is too little of it, as it was before."""
        (y, x), (h, w) = place_or(self.probability, self.position_yx, self.size_hw)
        return x - (w - 1) / 2, y - (h - 1) / 2, w, h

    def _learn_last(self) -> None:
        """Learn what the last frame was taken to show."""
        if self.sample is None or self._features is None:
            return
        label, certainty = self._labels(self.sample.cut_mask(self.probability))
        self.memory.add(self._features[0], label, certainty)
        if (self._frames - 1) % self.config.update_interval == 0:
            self.filter = self._descend(self.filter, self.config.update_steps)

    def _follow(self) -> None:
        """Go where the last frame's probability is."""
        self.position_yx, size = place_or(self.probability, self.position_yx, self.size_hw)
        wanted = math.sqrt(math.prod(size) / math.prod(self._base_hw))
        self.scale = next_scale(self.scale, wanted)
        self.size_hw = (self._base_hw[0] * self.scale, self._base_hw[1] * self.scale)

    def _labels(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What a filter should predict for a mask (h x w) of a sample, and how much it counts: 16 x h' x w' each."""
        label, certainty = self._network.label_encoder(mask[None, None])
        return label[0], certainty[0]

    def _descend(self, filters: Tensor, steps: int) -> Tensor:
        regularization = self._network.target_model.regularization
        return descend(filters, *self.memory.problem(), regularization=regularization, steps=steps)


def begin_with_box(network: LWLNetwork, image: Tensor, box_xywh: tuple[float, ...]) -> Tensor:
    """Logits of a target's mask in an image (1 x 3 x H x W), from its box: H x W.

    A box that begins left of or above the image is cut to it; published, it would be empty.
    """
    height, width = image.shape[2:]
    x, y, w, h = (math.trunc(value) for value in box_xywh)
    filled = torch.zeros(1, 1, height, width, dtype=torch.float32, device=image.device)
    filled[..., max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = 1
    levels = network.trunk(image.float())
    encoding = network.box_label_encoder(network.target_model(levels["layer3"]), filled)
    return network.decoder(encoding, levels, (height, width))[0]
