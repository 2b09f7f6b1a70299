"""What is published of DropSeg; its authors state no figures."""

from __future__ import annotations

from d3s_vot.trackers.published import Published

FILE = "Nov06_22.16.18_retrain_s03_210000.pth"

PUBLISHED = (
    Published(
        "DropSeg",
        "DropSeg",
        "Wu et al., DropMAE: Masked Autoencoders with Spatial-Attention Dropout for Tracking Tasks, CVPR 2023",
        gives_masks=True,
        file=FILE,
        source="the model that the repository DropSeg of its authors links",
        convert=f"d3s-vot convert {FILE} DropSeg.safetensors",
    ),
)
