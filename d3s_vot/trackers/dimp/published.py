"""The published configurations of DiMP, PrDiMP and SuperDiMP, by name, with their files and published figures.

Several share a file: they differ in the rules alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trackers.published import Published

DIMP = "Bhat, Danelljan, Van Gool, Timofte: Learning Discriminative Model Prediction for Tracking, ICCV 2019"
PRDIMP = "Danelljan, Van Gool, Timofte: Probabilistic Regression for Visual Tracking, CVPR 2020"
SOURCE = "the model zoo of PyTracking"
BENCHMARKS = ("OTB2015", "NFS", "UAV123", "LaSOT", "TrackingNet test", "GOT-10k test", "AVisT")
SUPER_SIGMA = 0.25 / 6 * 22  # cells; SuperDiMP's labels


@dataclass(frozen=True)
class Configuration:
    """A published configuration.

    Attributes:
        file: of its weights.
        trunk: that they are on.
        config: all constants.
        paper: that it is of.
        figures: success in percent (GOT-10k: AO) on `BENCHMARKS`; 0: not published.
        vot: EAO on VOT2018; empty: not published.
    """

    file: str
    trunk: str
    config: DiMPConfig
    paper: str
    figures: tuple[float, ...] = ()
    vot: str = ""

    @property
    def results(self) -> dict[str, str]:
        """Benchmark -> what is published."""
        lines = {"VOT2018": f"EAO {self.vot}"} if self.vot else {}
        for benchmark, value in zip(BENCHMARKS, self.figures, strict=bool(self.figures)):
            if value:
                lines[benchmark] = f"{'AO' if benchmark.startswith('GOT') else 'success'} {value}"
        return lines


_LARGE = {"sample_size": 352, "search_area_scale": 6.0, "inside_limit": 1.5}
_VOT18 = {
    "sample_size": 224,
    "search_area_scale": 4.0,
    "memory_size": 250,
    "learning_rate": 0.0075,
    "first_frame_share": 0.0,
    "first_iterations": 25,
    "update_iterations": 3,
    "hard_negative_iterations": 3,
    "update_interval": 10,
    "cosine_window": 1,
    "not_found_score": 0.0,
    "distractor_threshold": 100.0,
    "hard_negative_threshold": 0.45,
    "displacement_scale": 0.7,
    "augmentation": 2,
}
_VOT19 = _VOT18 | {
    "sample_size": 256,
    "search_area_scale": 4.5,
    "memory_size": 100,
    "first_iterations": 15,
    "update_iterations": 2,
    "hard_negative_iterations": 2,
    "augmentation": 1,
    "refinement_steps": 3,
}
_RELATIVE = {
    "refinement_steps": 10, "refinement_relative": 1, "refinement_step": 2.5e-3, "refinement_size_step": 2.5e-3
}  # fmt: skip
_DENSITY = _RELATIVE | {"density": 1, "least_regularization": 0.05, "step_damping": 0.05}
_SOFTMAX = {"softmax": 1, "not_found_score": 0.04}
_DENSITY_VOT18 = _VOT18 | {
    "learning_rate": 0.01,
    "update_iterations": 1,
    "hard_negative_iterations": 1,
    "update_interval": 1,
    "distractor_threshold": 99999.0,
    "hard_negative_threshold": 999999.0,
}


def _config(*changes: Mapping[str, float]) -> DiMPConfig:
    return DiMPConfig.with_changes({name: value for part in changes for name, value in part.items()})


CONFIGURATIONS: Mapping[str, Configuration] = {
    "DiMP-18": Configuration(
        "dimp18.pth", "resnet18", _config(), DIMP, (66.0, 61.0, 64.3, 53.5, 72.3, 57.9, 40.6)
    ),
    "DiMP-50": Configuration(
        "dimp50.pth", "resnet50", _config(), DIMP, (68.4, 61.9, 65.3, 56.9, 74.0, 61.1, 41.9)
    ),
    "DiMP-18-VOT18": Configuration("dimp18.pth", "resnet18", _config(_VOT18), DIMP, vot=".402"),
    "DiMP-50-VOT18": Configuration("dimp50.pth", "resnet50", _config(_VOT18), DIMP, vot=".440"),
    "DiMP-50-VOT19": Configuration("dimp50.pth", "resnet50", _config(_VOT19), DIMP),
    "PrDiMP-18": Configuration(
        "prdimp18.pth.tar",
        "resnet18",
        _config(_DENSITY, _SOFTMAX),
        PRDIMP,
        (68.0, 63.3, 65.3, 56.4, 75.0, 61.2, 41.7),
        ".385 (its settings for VOT are not published)",
    ),
    "PrDiMP-50": Configuration(
        "prdimp50.pth.tar",
        "resnet50",
        _config(_DENSITY, _SOFTMAX, _LARGE),
        PRDIMP,
        (69.6, 63.5, 68.0, 59.8, 75.8, 63.4, 43.3),
    ),
    "PrDiMP-50-VOT18": Configuration(
        "prdimp50.pth.tar", "resnet50", _config(_DENSITY, _DENSITY_VOT18), PRDIMP, vot=".442"
    ),
    "SuperDiMP": Configuration(
        "super_dimp.pth.tar",
        "resnet50",
        _config(_RELATIVE, _LARGE, {"label_sigma": SUPER_SIGMA}),
        f"{DIMP}; box regressor of {PRDIMP}",
        (70.1, 64.8, 67.7, 63.1, 78.1, 0, 48.4),
    ),
}

PUBLISHED = tuple(
    Published(
        name,
        "DiMP",
        entry.paper,
        gives_masks=False,
        file=entry.file,
        source=SOURCE,
        convert=f"d3s-vot convert {entry.file} {name}.safetensors",
        results=entry.results,
    )
    for name, entry in CONFIGURATIONS.items()
)
