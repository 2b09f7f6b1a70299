"""Every constant of LWL, in one frozen dataclass; the defaults are those of the tracker that begins with a mask."""

from __future__ import annotations

from dataclasses import dataclass

from d3s_vot.constants import Constants, constant
from d3s_vot.errors import InputError

UNIT = 16  # pixels of the sample per location of the target features


@dataclass(frozen=True)
class LWLConfig(Constants):
    """Constants of samples, learning and memory.

    Raises:
        InputError: one is not a number of its type, or outside its range.
    """

    sample_height: int = constant(480, 64, 2048)  # pixels
    sample_width: int = constant(832, 64, 2048)
    search_area_scale: float = constant(5.0, 1, 16)  # sqrt of the sample's area over that of the target's box

    first_steps: int = constant(20, 0, 1000)  # of learning, in the first frame
    update_steps: int = constant(3, 0, 1000)  # of each later one
    update_interval: int = constant(1, 1, 10**6)  # frames
    memory_size: int = constant(32, 2, 10**4)  # samples
    learning_rate: float = constant(0.1, 0, 0.99)
    first_share: float = constant(0.25, 0, 0.99)  # that the first sample's weight keeps; 0: it is as all others
    equal_start: int = constant(0, 0, 1)  # 1: the second sample begins with the first one's weight

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("sample_height", "sample_width"):
            if getattr(self, name) % UNIT:
                raise InputError(f"the constant {name} is {getattr(self, name)}; give a multiple of {UNIT}")

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the samples."""
        return self.sample_height, self.sample_width


MASK_START = LWLConfig()
BOX_START = LWLConfig(learning_rate=0.2, first_share=0.0, equal_start=1, update_interval=5, update_steps=5)
