"""Every constant of ECO, in one frozen dataclass.

The defaults are its authors' later form (see docs/eco.md). Of what the two blocks of features, shallow and deep, each
have, the name begins with the block's. Lengths are pixels of the sample unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError
from d3s_vot.online.config import FourierConfig

BLOCKS = ("shallow", "deep")
STRIDES = {"shallow": 4, "deep": 16}


@dataclass(frozen=True)
class ECOConfig(Constants):
    """Constants of the filters and of the rules that follow their scores.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    # Samples
    search_area_scale: float = constant(4.5, 1, 16)  # side of the sample over sqrt(w h) of the target
    min_sample_size: int = constant(200, 64, 1024)
    max_sample_size: int = constant(250, 64, 1024)
    augmentation_shift: int = constant(6, 0, 64)  # of the first frame's shifted samples
    dropout_samples: int = constant(7, 0, 64)  # of the first frame
    dropout: float = constant(0.2, 0, 0.9)  # probability that a channel is left out of one

    # Scales
    scales: int = constant(5, 1, 15)  # that a frame is looked at in; odd
    scale_step: float = constant(1.02, 1, 2)  # from one to the next
    scale_refinement: int = constant(0, 0, 1)  # ours; 1: the scale follows the parabola through the best scores
    min_target_size: float = constant(10.0, 1, 1e4)  # pixels of the image that the shorter side keeps
    target_inside_ratio: float = constant(0.3, 0, 1)  # the middle stays so much of a side near the image

    # The filters; the rest of their constants are those of `FourierConfig`
    shallow_channels: int = constant(16, 1, 4096)
    shallow_label_sigma_factor: float = constant(1 / 16, 1e-3, 10)
    shallow_penalty_least: float = constant(1e-4, 1e-9, 1e6)
    shallow_penalty_edge: float = constant(0.01, 1e-9, 1e6)
    shallow_penalty_threshold: float = constant(0.05, 0, 1)
    shallow_learning_rate: float = constant(0.025, 0, 0.99)
    shallow_weight: float = constant(0.4, 0, 1)  # in the score
    deep_channels: int = constant(64, 1, 4096)
    deep_label_sigma_factor: float = constant(0.25, 1e-3, 10)
    deep_penalty_least: float = constant(1e-3, 1e-9, 1e6)
    deep_penalty_edge: float = constant(0.05, 1e-9, 1e6)
    deep_penalty_threshold: float = constant(0.1, 0, 1)
    deep_learning_rate: float = constant(0.0075, 0, 0.99)
    deep_weight: float = constant(0.6, 0, 1)
    memory_size: int = constant(200, 31, 10**4)
    gauss_newton_steps: int = constant(10, 0, 100)
    gauss_newton_cg_iterations: int = constant(10, 0, 1000)
    update_cg_iterations: int = constant(5, 0, 1000)
    update_interval: int = constant(10, 1, 10**6)  # frames

    # 1: samples are taken to be where they were cut, and the first frame's products are self-adjoint. 0: published.
    corrected: int = constant(0, 0, 1)
    visible_confidence: float = constant(0.2, 0, 1)  # ours; from here the target is said to be there

    # Judgement and search (ours; see guarded.py). A quality is a score beside the usual one.
    guarded: int = constant(0, 0, 1)  # 1: every frame is judged; 0: published
    least_lead: float = constant(0.25, 1e-3, 1)  # of the score, before that of any other place; less is doubtful
    quality_learn: float = constant(0.5, 0, 10)  # from here a frame is learnt, and its size believed
    quality_lost: float = constant(0.35, 0, 10)  # below, the target is missed, and nothing moves
    quality_found: float = constant(0.7, 0, 10)  # from here it is found again
    score_history_size: int = constant(25, 1, 10**6)  # trusted frames whose mean score is the usual one
    lost_after: int = constant(3, 1, 10**6)  # frames without the target, then it is searched for
    search_places: int = constant(2, 1, 1000)  # that a frame of the search looks at, beside the last one

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scales % 2 == 0:
            raise InputError(f"the constant scales is {self.scales}; give an odd number")
        if self.min_sample_size > self.max_sample_size:
            raise InputError(
                f"the constant min_sample_size is {self.min_sample_size}, above max_sample_size, {self.max_sample_size}"
            )
        if self.memory_size <= self.first_frame_samples:
            raise InputError(
                f"the constant memory_size is {self.memory_size}; the first frame alone has {self.first_frame_samples}"
            )

    @property
    def first_frame_samples(self) -> int:
        """How many samples the filters are learnt from in the first frame."""
        return 23 + self.dropout_samples

    @property
    def scale_factors(self) -> tuple[float, ...]:
        """Of the present scale, that a frame is looked at in."""
        half = self.scales // 2
        return tuple(self.scale_step**k for k in range(-half, half + 1))

    def of_block(self, block: str) -> FourierConfig:
        """The constants of a block's filter, one of `BLOCKS`."""
        values = {field.name: getattr(self, field.name) for field in fields(FourierConfig) if hasattr(self, field.name)}
        start = f"{block}_"
        own = {field.name: getattr(self, start + field.name) for field in fields(FourierConfig)
               if hasattr(self, start + field.name)}  # fmt: skip
        return FourierConfig(**values | own, self_adjoint=self.corrected)

    def weight(self, block: str) -> float:
        """A block's weight in the score."""
        return getattr(self, f"{block}_weight")


PUBLISHED, CORRECTED = ECOConfig(), ECOConfig(corrected=1)
GUARDED = ECOConfig(corrected=1, scales=3, scale_step=1.03, scale_refinement=1, guarded=1)
RULES = {"published": PUBLISHED, "corrected": CORRECTED, "guarded": GUARDED}
