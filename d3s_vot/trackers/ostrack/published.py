"""The published configurations of OSTrack and DropTrack, by name, with their files and their published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.published import Published

OSTRACK = (
    "Ye et al., Joint Feature Learning and Relation Modeling for Tracking: A One-Stream Framework, ECCV 2022",
    "the models that the repository OSTrack of its authors links",
)
DROPTRACK = (
    "Wu et al., DropMAE: Masked Autoencoders with Spatial-Attention Dropout for Tracking Tasks, CVPR 2023",
    "the models that the repository DropTrack of its authors links",
)
# Of a frame with random weights and elimination, by the side of the search crop; of the processor's time.
SPEED = {
    256: "exact 671, fast 609 ms of one thread a frame at best (AMD EPYC, AVX2)",
    384: "exact 1539, fast 1463 ms of one thread a frame at best (AMD EPYC, AVX2)",
}


@dataclass(frozen=True)
class Configuration:
    """A published configuration.

    Attributes:
        name: as published, behind the tracker's.
        file: its weights.
        config: all constants.
        results: benchmark -> value, as published.
    """

    name: str
    file: str
    config: OSTrackConfig
    results: Mapping[str, str] = field(default_factory=dict)

    @property
    def paper_and_source(self) -> tuple[str, str]:
        """Who wrote it and where, and where the file is found."""
        return DROPTRACK if self.config.temporal else OSTRACK


def _config(search: int, *, eliminates: bool = True, temporal: bool = False) -> OSTrackConfig:
    return OSTrackConfig(
        template_size=search // 2,
        search_size=search,
        search_factor={256: 4.0, 384: 5.0}[search],
        keep_ratio=0.7 if eliminates else 1.0,
        temporal=int(temporal),
    )


def _ostrack(name: str, config: OSTrackConfig, **results: str) -> Configuration:
    epoch = "0100" if name.endswith("ep100") else "0300"
    return Configuration(f"OSTrack-{name}", f"{name}/OSTrack_ep{epoch}.pth.tar", config, _named(results))


def _named(results: Mapping[str, str]) -> dict[str, str]:
    """Benchmarks as they are written."""
    return {name.replace("GOT10k", "GOT-10k"): value for name, value in results.items()}


_DROPTRACK = _config(384, temporal=True)

_ALL = (
    _ostrack("vitb_256_mae_ce_32x4_ep300", _config(256), LaSOT="AUC 69.1", TrackingNet="AUC 83.1", UAV123="AUC 68.3"),
    _ostrack("vitb_256_mae_ce_32x4_got10k_ep100", _config(256), GOT10k="AO 71.0"),
    _ostrack("vitb_256_mae_32x4_ep300", _config(256, eliminates=False)),
    _ostrack("vitb_384_mae_ce_32x4_ep300", _config(384), LaSOT="AUC 71.1", TrackingNet="AUC 83.9", UAV123="AUC 70.7"),
    _ostrack("vitb_384_mae_ce_32x4_got10k_ep100", _config(384), GOT10k="AO 73.7"),
    _ostrack("vitb_384_mae_32x4_ep300", _config(384, eliminates=False)),
    Configuration(
        "DropTrack-vitb_384_mae_ce_32x4_ep300",
        "OSTrack_alldata_300E.pth.tar",
        _DROPTRACK,
        {"LaSOT": "AUC 71.8", "TrackingNet": "AUC 84.1", "TNL2K": "AUC 56.9"},
    ),
    Configuration(
        "DropTrack-vitb_384_mae_ce_32x4_got10k_ep100",
        "OSTrack_got10k_100E.pth.tar",
        _DROPTRACK,
        {"GOT-10k": "AO 75.9"},
    ),
)
CONFIGURATIONS: Mapping[str, Configuration] = {entry.name: entry for entry in _ALL}

PUBLISHED = tuple(
    Published(
        name,
        "OSTrack",
        entry.paper_and_source[0],
        gives_masks=False,
        file=entry.file,
        source=entry.paper_and_source[1],
        convert=f"d3s-vot convert {entry.file} {name}.safetensors",
        results=entry.results,
        speed=SPEED[entry.config.search_size] if entry.config.kept else "",
    )
    for name, entry in CONFIGURATIONS.items()
)
