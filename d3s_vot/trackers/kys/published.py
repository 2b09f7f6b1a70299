"""The published configurations of KYS, by name, with their file and published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.published import Published

PAPER = (
    "Bhat, Danelljan, Van Gool, Timofte: Know Your Surroundings: Exploiting Scene Information for Object Tracking, "
    "ECCV 2020"
)
SOURCE = "the model zoo of PyTracking"
FILE = "kys.pth"


@dataclass(frozen=True)
class Configuration:
    """A published configuration.

    Attributes:
        config: all constants.
        results: as published, by benchmark.
    """

    config: KYSConfig
    results: Mapping[str, str]


CONFIGURATIONS: Mapping[str, Configuration] = {
    "KYS": Configuration(
        KYSConfig(),
        {
            "OTB2015": "success 69.5",
            "NFS": "success 63.4",
            "LaSOT": "success 55.4 (of which settings is not published)",
            "TrackingNet test": "success 74.0",
            "GOT-10k test": "AO 63.6",
            "AVisT": "success 42.5",
        },
    ),
    "KYS-VOT": Configuration(
        KYSConfig(
            sample_size=224,
            search_area_scale=4.0,
            window_area=4.0,
            augmentation=2,
            memory_size=250,
            learning_rate=0.0075,
            first_frame_share=0.0,
            first_iterations=25,
            update_iterations=3,
            hard_negative_iterations=3,
            update_interval=10,
            hard_negatives=1,
            lost_forgets=1,
        ),
        {"VOT2018": "EAO .462"},
    ),
}

PUBLISHED = tuple(
    Published(
        name,
        "KYS",
        PAPER,
        gives_masks=False,
        file=FILE,
        source=SOURCE,
        convert=f"d3s-vot convert {FILE} {name}.safetensors",
        results=entry.results,
    )
    for name, entry in CONFIGURATIONS.items()
)
