"""Every constant of LWL, in one frozen dataclass; the defaults are the published ones."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError
from d3s_vot.given import Form

UNIT = 16  # pixels of the sample per location of the target features
BLOCKS = {14: (1, 1, 1, 1), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # of the trunk's stages, by its depth


@dataclass(frozen=True)
class Learning:
    """How the filter of a target is learnt and kept up; the constants' names say the same in `LWLConfig`."""

    first_steps: int
    memory_size: int
    learning_rate: float
    first_share: float
    equal_start: bool
    update_interval: int
    update_steps: int


@dataclass(frozen=True)
class LWLConfig(Constants):
    """Constants of the network, of samples, of learning and memory.

    Those that begin with `box_` are for targets that begin with a box, where the weights can do that.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    trunk_depth: int = constant(50, 14, 101, of_weights=True)  # layers of the ResNet
    trunk_width: int = constant(64, 4, 256, of_weights=True)  # channels of the first stage's 3x3 convolutions
    target_channels: int = constant(512, 8, 2048, of_weights=True)  # of the features that the filter sees
    decoder_width: int = constant(64, 4, 256, of_weights=True)  # of its finest level; up to four times as wide before
    box_start: int = constant(0, 0, 1, of_weights=True)  # 1: the weights can begin with a box

    use_mask: int = constant(1, 0, 1)  # 0: where the weights can begin with a box, of a mask its box alone counts

    sample_height: int = constant(480, 64, 2048)  # pixels
    sample_width: int = constant(832, 64, 2048)
    search_area_scale: float = constant(5.0, 1, 16)  # sqrt of the sample's area over that of the target's box

    first_steps: int = constant(20, 0, 1000)  # of learning, in the first frame
    memory_size: int = constant(32, 2, 10**4)  # samples

    learning_rate: float = constant(0.1, 0, 0.99)  # a new sample's share
    first_share: float = constant(0.25, 0, 0.99)  # that the first sample's weight keeps; 0: it is as all others
    equal_start: int = constant(0, 0, 1)  # 1: the second sample begins with the first one's weight
    update_interval: int = constant(1, 1, 10**6)  # frames
    update_steps: int = constant(3, 0, 1000)

    box_learning_rate: float = constant(0.2, 0, 0.99)
    box_first_share: float = constant(0.0, 0, 0.99)
    box_equal_start: int = constant(1, 0, 1)
    box_update_interval: int = constant(5, 1, 10**6)
    box_update_steps: int = constant(5, 0, 1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trunk_depth not in BLOCKS:
            known = ", ".join(map(str, BLOCKS))
            raise InputError(f"the constant trunk_depth is {self.trunk_depth}; give one of {known}")
        for name in ("sample_height", "sample_width"):
            if getattr(self, name) % UNIT:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {UNIT}")

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the samples."""
        return self.sample_height, self.sample_width

    def begins_with_box(self, form: Form) -> bool:
        """Whether the network makes the first mask itself, from the box of a target that was given in a form.

        Otherwise the first mask is the one that is given, or what the box or the polygon encloses.
        """
        return bool(self.box_start) and (form is not Form.MASK or not self.use_mask)

    def learning(self, *, box: bool) -> Learning:
        """Of a target whose first mask the network made from its box, or of any other."""
        prefix = "box_" if box else ""
        return Learning(
            first_steps=self.first_steps,
            memory_size=self.memory_size,
            learning_rate=getattr(self, prefix + "learning_rate"),
            first_share=getattr(self, prefix + "first_share"),
            equal_start=bool(getattr(self, prefix + "equal_start")),
            update_interval=getattr(self, prefix + "update_interval"),
            update_steps=getattr(self, prefix + "update_steps"),
        )
