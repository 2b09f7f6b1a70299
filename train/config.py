"""The settings of a training run and of its pairs: frozen dataclasses, and the schedules and augmentations by name."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LightConfig:
    """What light, camera and encoder do to a crop; probabilities are of a crop, levels are 0..255."""

    brightness: float = 0.3  # factor 1 - this .. 1 + this, uniform
    tint: float = 0.04  # sigma of the log of each channel's factor
    offset: float = 12.0  # sigma, levels
    gamma: float = 0.15  # sigma of the log
    colour: float = 0.5  # probability of another saturation
    grey: float = 0.2  # probability, where the saturation changes, that none is left
    low_resolution: float = 0.25  # probability
    blur: float = 0.35  # probability, half of it by motion
    noise: float = 0.2  # probability
    jpeg: float = 0.2  # probability

    @classmethod
    def published(cls) -> LightConfig:
        """Brightness alone."""
        return cls(0.2, *[0.0] * 9)


@dataclass(frozen=True)
class PairConfig:
    """How one labelled picture, or two frames of a video, become a template and a search crop.

    Lengths are shares of the target's sqrt(w h) unless said otherwise; probabilities are of a pair.
    """

    size: int = 384  # pixels of a crop
    area_scale: float = 4.0  # side of a crop over sqrt(w h)
    max_gap: int = 50  # frames between the two views of a video; published

    # where the crops lie
    template_shift: float = 0.06
    template_scale: float = 0.08  # sigma of the log
    search_shift: float = 0.75  # published
    search_scale: float = 0.25  # published: sigma of the log
    location_shift: float = 0.2  # of w, h; published 0.125

    # motion between the two views
    rotation: float = 30.0  # degrees, sigma / 2 of a normal
    stretch: float = 0.12  # sigma of the log of the aspect
    perspective: float = 0.04  # sigma of the tilt over sqrt(w h)
    bend: float = 0.4  # probability of a thin-plate deformation of the target
    bend_size: float = 0.06  # sigma of its control points' shift
    independent: float = 0.2  # probability that the target moves before its own scene, which is filled in behind it
    paste: float = 0.3  # probability of another picture behind the target
    lookalike: float = 0.3  # probability of another object, or the same one once more, beside the target
    twin: float = 0.25  # probability that the look-alike is the target itself
    occluder: float = 0.15  # probability of another object across the target's edge
    exit: float = 0.08  # probability that the picture ends within the target

    # what the target is, and how the template mask marks it
    part: float = 0.2  # probability that the target is a box-shaped part of the object
    region: float = 0.04  # probability that it is an arbitrary ellipse or box of the picture
    box_on_itself: float = 0.18  # template mask is the filled box and the search is the template (published 0.005)
    box_mask: float = 0.12  # template mask is the filled box, search another view
    rough_mask: float = 0.2  # template mask is grown or shrunk, as a first estimate from a box is

    light: LightConfig = LightConfig()

    @classmethod
    def published(cls, size: int = 384) -> PairConfig:
        """Paper section 3.3: jitter of the crops, brightness, few box masks; a still gets affine motion besides."""
        return cls(
            size, template_shift=0.0, template_scale=0.0, location_shift=0.125, perspective=0.0, bend=0.0,
            independent=0.0, paste=0.0, lookalike=0.0, occluder=0.0, exit=0.0, part=0.0, region=0.0,
            box_on_itself=0.005, box_mask=0.0, rough_mask=0.0, light=LightConfig.published(),
        )  # fmt: skip

    @classmethod
    def mild(cls, size: int = 384) -> PairConfig:
        """Targets and template masks of all kinds, the rest three tenths of the way from the published pairs to the
        full ones: more holds up a network of 0.1 million parameters that sees some 10,000 to 100,000 pairs."""
        full = cls(size)
        mild = _between(cls.published(size), full, 0.3)
        kinds = ("part", "region", "box_on_itself", "box_mask", "rough_mask")
        return dataclasses.replace(mild, **{name: getattr(full, name) for name in kinds})

    def plain(self) -> PairConfig:
        """For validation: the published pairs, always with the object's own mask."""
        return dataclasses.replace(self.published(self.size), area_scale=self.area_scale, box_on_itself=0.0)


def _between(one: Any, other: Any, share: float) -> Any:
    """A dataclass each of whose numbers is a share of the way from one to another.

    >>> _between(LightConfig(noise=0.25), LightConfig(noise=0.5), 0.5).noise
    0.375
    """
    if isinstance(one, float):
        return one + share * (other - one)
    if not dataclasses.is_dataclass(one):
        return one
    values = {f.name: _between(getattr(one, f.name), getattr(other, f.name), share) for f in dataclasses.fields(one)}
    return dataclasses.replace(one, **values)  # type: ignore[type-var]


AUGMENTATIONS: dict[str, PairConfig] = {
    "full": PairConfig(),
    "no-lookalikes": PairConfig(lookalike=0.0),
    "mild": PairConfig.mild(),
    "published": PairConfig.published(),
}


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    trunk: str = "efficientnet_lite0"
    width: int = 1  # of the refinement pathway, in multiples of the published one
    tuned_stages: int = 0  # of the trunk's four, the last so many learn too, their batch norm frozen for good
    trunk_rate: float = 0.1  # of the learning rate, for the trunk
    iterations: int = 40_000
    epoch: int = 1_000  # iterations; validation and a sheet of predictions end each
    batch: int = 64  # pairs of a step, over all processes
    optimizer: str = "adam"  # or adamw
    beta2: float = 0.999  # of the optimiser, for the moving average of squared gradients
    learning_rate: float = 1e-3  # peak
    warmup: int = 0  # iterations
    decay: str = "step"  # or cosine, to a hundredth, or cosine-to-zero
    step_iterations: int = 15_000
    step_factor: float = 0.2
    weight_decay: float = 0.0
    dice: float = 0.0  # weight of the soft Dice loss beside the binary cross-entropy
    gain: float = 1.0  # of the last batch norm at the start: the spread of the first logits
    prior: float = 0.0  # its offset at the start: the logit of background, and minus that of the target
    clip: float = 5.0  # norm of the gradient; 0: none
    ema: float = 0.998  # moving average of the weights; 0: none
    precision: str = "auto"  # of the forward pass, by autocast: bfloat16 or float32; auto: see memory.choose_precision
    seed: int = 0
    workers: int = 2
    log_every: int = 50  # iterations
    validation_pairs: int = 300
    checkpoint_minutes: float = 5.0
    rules: str = "published"  # of the tracker, for the weights' metadata: a name of d3s_vot.trackers.d3s.config.RULES
    pairs: PairConfig = PairConfig()

    def shortened(self, iterations: int) -> TrainConfig:
        """The same schedule over another number of iterations: where the rate falls stays at the same share of it."""
        share = iterations / self.iterations
        return dataclasses.replace(
            self,
            iterations=iterations,
            epoch=min(self.epoch, iterations),
            warmup=min(self.warmup, iterations // 10),
            step_iterations=max(round(self.step_iterations * share), 1),
        )


def _regressor(rules: str, max_gap: int) -> TrainConfig:
    pairs = PairConfig.published(288)
    return TrainConfig(
        trunk="resnet18", iterations=50_000, clip=0.0, ema=0.0, rules=rules,
        pairs=dataclasses.replace(
            pairs, area_scale=5.0, max_gap=max_gap, search_shift=2.0, search_scale=0.5, box_on_itself=0.0
        ),
    )  # fmt: skip


# "quick" is an hour and a half on two CPU cores. A target covers a twentieth of its crop: from unit logits and by
# cross-entropy alone the network first takes some 1,500 steps of 16 pairs to see background everywhere.
SCHEDULES: dict[str, TrainConfig] = {
    "published": TrainConfig(ema=0.0, pairs=PairConfig.published()),
    "quick": TrainConfig(
        iterations=5_000, epoch=500, batch=16, optimizer="adamw", learning_rate=4e-3, warmup=100, decay="cosine",
        weight_decay=1e-4, dice=1.0, gain=2.0, prior=2.5, ema=0.99,
        rules="calibrated", pairs=PairConfig.mild(),
    ),
    # The pre-training of DropMAE, on a small transformer, and as published, over Kinetics-400: 1,600 epochs of 240,000
    # videos, 40 of them with a rising rate.
    "dropmae": TrainConfig(
        trunk="vit-tiny", iterations=10_000, epoch=500, batch=32, optimizer="adamw", beta2=0.95, learning_rate=1.5e-3,
        warmup=300, decay="cosine-to-zero", weight_decay=0.05, clip=0.0, ema=0.0, validation_pairs=64,
        pairs=PairConfig(224, max_gap=49),
    ),
    "dropmae-published": TrainConfig(
        trunk="vit-base", iterations=93_750, epoch=1_000, batch=4096, optimizer="adamw", beta2=0.95,
        learning_rate=1.5e-4 * 4096 / 256, warmup=2_344, decay="cosine-to-zero", weight_decay=0.05, clip=0.0, ema=0.0,
        workers=10, pairs=PairConfig(224, max_gap=49),
    ),
    # OSTrack or DropTrack, as published, 300 epochs of 60,000 pairs, whose rate falls after 240, and on a small
    # transformer.
    "ostrack-published": TrainConfig(
        trunk="vit-base", iterations=140_625, epoch=2_000, batch=128, optimizer="adamw", learning_rate=4e-4,
        step_iterations=112_500, step_factor=0.1, weight_decay=1e-4, clip=0.1, ema=0.0, workers=10,
        pairs=dataclasses.replace(PairConfig.published(256), search_shift=1.5, max_gap=200),
    ),
    "ostrack": TrainConfig(
        trunk="vit-tiny", trunk_rate=1.0, iterations=5_000, epoch=500, batch=16, optimizer="adamw", learning_rate=5e-4,
        warmup=200, decay="cosine", weight_decay=1e-4, clip=1.0, ema=0.99,
        pairs=dataclasses.replace(PairConfig.mild(256), part=0.0, region=0.0),
    ),
    # ATOM's box regressor, as published, 50 epochs of 1,000 batches, and as PrDiMP trains it. The target's middle is at
    # most twice its size from the crop's, where 2.25 is published: boxes are those around masks, which a crop's edge
    # would cut.
    "atom": _regressor("ATOM", max_gap=50),
    "atom-density": _regressor("ATOM-prob-ml", max_gap=200),
    # LWL: the filter's learner, label encoder and decoder, on a trunk of Mask R-CNN's, which stays as it is.
    "lwl": TrainConfig(
        trunk="resnet50_caffe", iterations=5_000, epoch=500, batch=8, optimizer="adamw", learning_rate=1e-3,
        warmup=200, decay="cosine", weight_decay=1e-4, clip=1.0, ema=0.99,
        pairs=dataclasses.replace(PairConfig.mild(352), area_scale=5.0),
    ),
    # DiMP: sets of 3 + 3 frames. How many, the batch, and where template crops lie, are ours.
    "dimp": TrainConfig(
        trunk="resnet18", tuned_stages=4, trunk_rate=0.2, iterations=100_000, batch=10, step_iterations=30_000,
        clip=0.0, ema=0.0, rules="DiMP-18", pairs=dataclasses.replace(
            _regressor("ATOM", max_gap=30).pairs, template_shift=1.0, template_scale=0.25
        ),
    ),
    # SiamFC++ on our light trunk: search crops of 303 pixels, 2 x 303 / 127 times the side of a square target. The
    # template is the middle of its crop, where the target has to be.
    "siamfcpp": TrainConfig(
        trunk="lite0", tuned_stages=4, iterations=5_000, epoch=500, batch=16, optimizer="adamw", learning_rate=1e-3,
        warmup=200, decay="cosine", weight_decay=1e-4, ema=0.99,
        pairs=dataclasses.replace(PairConfig.mild(303), area_scale=2 * 303 / 127, part=0.0, region=0.0),
    ),
}  # fmt: skip
