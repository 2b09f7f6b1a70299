"""The published configurations of LWL, by name, with their files and published figures."""

from __future__ import annotations

from collections.abc import Mapping

from d3s_vot.trackers.lwl.config import LWLConfig
from d3s_vot.trackers.published import Published

PAPER = "Bhat et al., Learning What to Learn for Video Object Segmentation, ECCV 2020"
SOURCE = "the model zoo of PyTracking"
FILES = {"LWL-ytvos": "lwl_stage2.pth", "LWL-boxinit": "lwl_boxinit.pth"}
RESULTS = {
    "LWL-ytvos": {"YouTube-VOS 2018": "overall 81.5", "YouTube-VOS 2019": "overall 81.0"},
    "LWL-boxinit": {"YouTube-VOS 2018": "overall 70.4", "DAVIS 2017 val": "J&F 70.8"},
}
RULES: Mapping[str, LWLConfig] = {"LWL-ytvos": LWLConfig(), "LWL-boxinit": LWLConfig(use_mask=0)}

PUBLISHED = tuple(
    Published(
        name,
        "LWL",
        PAPER,
        gives_masks=True,
        file=file,
        source=SOURCE,
        convert=f"d3s-vot convert {file} {name}.safetensors",
        results=RESULTS[name],
    )
    for name, file in FILES.items()
)
