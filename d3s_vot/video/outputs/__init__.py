"""Where results go: video, masks, tables; written frame by frame, and whole whenever a run ends."""

from d3s_vot.video.outputs.open import open_outputs
from d3s_vot.video.outputs.output import Output, Outputs

__all__ = ["Output", "Outputs", "open_outputs"]
