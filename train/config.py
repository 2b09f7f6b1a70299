"""The settings of a training run and of its synthetic pairs, in two frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PairConfig:
    """How one labelled picture (or two frames of a clip) becomes a template and a search crop.

    Lengths are shares of the target's sqrt(w h) unless said otherwise; probabilities are of a pair.
    """

    size: int = 384  # pixels of a crop
    area_scale: float = 4.0  # side of a crop over sqrt(w h)

    # where the crops lie
    template_shift: float = 0.06
    template_scale: float = 0.08  # sigma of the log
    search_shift: float = 0.75  # published
    search_scale: float = 0.25  # published: sigma of the log
    location_shift: float = 0.2  # of w, h; published 0.125

    # motion between the two
    rotation: float = 30.0  # degrees, sigma / 2 of a normal
    stretch: float = 0.12  # sigma of the log of the aspect
    elastic: float = 0.3  # probability of a smooth deformation of the search crop
    paste: float = 0.3  # probability of another background behind the target in the search crop
    lookalike: float = 0.25  # probability of another object of the same set beside the target
    occluder: float = 0.15  # probability of another object across the target's edge

    # what the target is, and how the template mask marks it
    part: float = 0.2  # probability that the target is a box-shaped part of the object
    region: float = 0.04  # probability that it is an arbitrary ellipse or box of the picture
    box_on_itself: float = 0.18  # template mask is the filled box and the search is the template (published 0.005)
    box_mask: float = 0.12  # template mask is the filled box, search another view
    rough_mask: float = 0.2  # template mask is eroded or dilated, as a first estimate from a box is


@dataclass(frozen=True)
class TrainConfig:
    """One training run; the defaults are a run of about an hour on two CPU cores."""

    trunk: str = "efficientnet_lite0"
    iterations: int = 4000
    batch: int = 16  # pairs
    learning_rate: float = 2e-3  # peak of AdamW
    warmup: int = 100  # iterations
    weight_decay: float = 1e-4
    clip: float = 5.0  # norm of the gradient
    ema: float = 0.998
    seed: int = 0
    workers: int = 2
    validate_every: int = 500  # iterations
    validation_pairs: int = 256
    checkpoint_minutes: float = 5.0
    pairs: PairConfig = PairConfig()
