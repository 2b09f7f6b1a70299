"""The published configurations of ATOM, by name, with their files and published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from d3s_vot.trackers.atom.config import ATOMConfig
from d3s_vot.trackers.published import Published

PAPER = "Danelljan, Bhat, Khan, Felsberg: ATOM: Accurate Tracking by Overlap Maximization, CVPR 2019"
SOURCE = "the model zoo of PyTracking"


@dataclass(frozen=True)
class Configuration:
    """A published configuration.

    Attributes:
        file: of its weights.
        config: all constants.
        results: as published, by benchmark.
    """

    file: str
    config: ATOMConfig = field(default_factory=ATOMConfig)
    results: Mapping[str, str] = field(default_factory=dict)


def _climbing(step: float, size_step: float) -> ATOMConfig:
    """The network trained as a density; boxes climb in relative space."""
    return ATOMConfig(
        refinement_steps=10, refinement_relative=1, refinement_step=step, refinement_size_step=size_step
    )


CONFIGURATIONS: Mapping[str, Configuration] = {
    "ATOM": Configuration(
        "atom_default.pth",
        results={
            "OTB2015": "success 66.3",
            "NFS": "success 58.4",
            "UAV123": "success 64.2",
            "LaSOT": "success 51.5",
            "TrackingNet test": "success 70.3",
            "GOT-10k test": "AO 55.6",
            "AVisT": "success 38.6",
        },
    ),
    "ATOM-VOT": Configuration(
        "atom_default.pth",
        ATOMConfig(
            sample_size=224,
            search_area_scale=4.0,
            learning_rate=0.0075,
            first_frame_share=0.0,
            cosine_window=1,
            not_found_score=-1.0,
            distractor_threshold=100.0,
            hard_negative_threshold=0.3,
            displacement_scale=0.7,
        ),
        {"VOT2018": "EAO .401"},
    ),
    "ATOM-prob-ml": Configuration("atom_prob_ml.pth", _climbing(2e-4, 1e-3)),
    "ATOM-gmm-sampl": Configuration("atom_gmm_sampl.pth", _climbing(1e-2, 5e-2)),
}

PUBLISHED = tuple(
    Published(
        name,
        "ATOM",
        PAPER,
        gives_masks=False,
        file=entry.file,
        source=SOURCE,
        convert=f"d3s-vot convert {entry.file} {name}.safetensors",
        results=entry.results,
    )
    for name, entry in CONFIGURATIONS.items()
)
