"""The published configurations of SiamFC++, by name, with the file of their weights and their published figures.

A name is the benchmark's and the configuration's. Several share a file: they differ in the rules alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from d3s_vot.trackers.published import Published
from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig

PAPER = "Xu et al., SiamFC++: Towards Robust and Accurate Visual Tracking with Target Estimation Guidelines, AAAI 2020"
SOURCE = "the model zoo of MegviiDetection/video_analyst"
# Of a frame with random weights, by trunk; of the processor's time, which other work on the machine hardly changes.
SPEED = {
    "alexnet": "exact 223, fast 202 ms of one thread a frame (AMD EPYC, AVX2)",
    "googlenet": "exact 490, fast 446 ms of one thread a frame (AMD EPYC, AVX2)",
}

# First six digits of the MD5 -> name of the file, which ends in all of them, and the trunk. Of one the name is unknown.
FILES = {
    "18fd31": ("siamfcpp-alexnet-vot-md5_18fd31a2f94b0296c08fff9b0f9ad240.pkl", "alexnet"),
    "88e4e9": ("siamfcpp-alexnet-vot-md5_88e4e9ee476545b952b04ae80c480f08.pkl", "alexnet"),
    "f2680b": ("siamfcpp-googlenet-vot-md5_f2680ba074213ee39d82fcb84533a1a6.pkl", "googlenet"),
    "e14e9b": ("siamfcpp-googlenet-vot-md5_e14e9b6c82799602d777fd21a081c907.pkl", "googlenet"),
    "cb9c2e": ("siamfcpp-tinyconv-vot-md5_cb9c2e8c7851ebf79677522269444cb2.pkl", "tinyconv"),
    "5e01cf": ("siamfcpp-alexnet-got-md5_5e01cf6271ad42e935032b61b05854d3.pkl", "alexnet"),
    "e182dc": ("siamfcpp-googlenet-got-md5_e182dc4c3823427022eccf7313d740a7.pkl", "googlenet"),
    "d710ce": ("siamfcpp-shufflenetv2x0_5-got-md5_d710ce17736d31a28bfe37cfbb997c5a.pkl", "shufflenetv2x0_5"),
    "aa824c": ("siamfcpp-shufflenetv2x1_0-got-md5_aa824cc413b100bcb10f57c4d0e52423.pkl", "shufflenetv2x1_0"),
    "434540": ("siamfcpp-googlenet-lasot-md5sum_434540569e163188d2bf47438e075529.pkl", "googlenet"),
    "1b41f1": ("siamfcpp-googlenet-trackingnet-md5_1b41f1b5db5d87566e095d723cab9818.pkl", "googlenet"),
    "0b2ab4": ("siamfcpp-googlenet-vot_retrain-md5_0b2ab436b1b6866daad8f7915c135482.pkl", "googlenet"),
    "d63a5e": ("*_d63a5e59d5f0e7358aa7888af1b43242.pkl", "googlenet"),
}


@dataclass(frozen=True)
class Configuration:
    """A published configuration.

    Attributes:
        name: ours, without the tracker's.
        digits: first six of its file's MD5, a key of `FILES`.
        rules: constants that differ from the defaults of its trunk.
        figures: benchmark -> measure -> value, as published.
    """

    name: str
    digits: str
    rules: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the file of weights."""
        return FILES[self.digits][0]

    @property
    def trunk(self) -> str:
        """Name of the trunk."""
        return FILES[self.digits][1]

    @property
    def config(self) -> SiamFCppConfig:
        """All constants."""
        return SiamFCppConfig.of_trunk(self.trunk, **self.rules)


def _rules(size_rate: float, window_influence: float, penalty: float) -> dict[str, float]:
    return {"size_rate": size_rate, "window_influence": window_influence, "penalty": penalty}


def _memory(size: int, weight: float) -> dict[str, float]:
    return {"memory_step": 5, "memory_size": size, "memory_weight": weight}


def _vot(a: float, r: float, eao: float) -> dict[str, dict[str, float]]:
    return {"VOT2018": {"A": a, "R": r, "EAO": eao}}


def _got(*figures: tuple[float, float, float]) -> dict[str, dict[str, float]]:
    """Of the validation set, then of the test set."""
    names = ("GOT-10k val", "GOT-10k test")
    return {n: dict(zip(("AO", "SR.5", "SR.75"), f, strict=True)) for n, f in zip(names, figures, strict=True)}


def _success(benchmark: str, *figures: float) -> dict[str, dict[str, float]]:
    return {benchmark: dict(zip(("success", "precision", "normalised precision"), figures, strict=False))}


_OTB_ALEXNET = _rules(0.5249642198880932, 0.23153228172839774, 0.05413758904760692)

_ALL = (
    Configuration("vot-alexnet", "88e4e9", _rules(0.58, 0.21, 0.08), _vot(0.576, 0.183, 0.393)),
    Configuration("vot-alexnet-old", "18fd31", figures=_vot(0.588, 0.243, 0.373)),
    Configuration(
        "vot-googlenet",
        "f2680b",
        _rules(0.5093639624865886, 0.2444928917567117, 0.06721247775471334),
        _vot(0.581, 0.169, 0.428),
    ),
    Configuration("vot-googlenet-first", "f2680b", _rules(0.52, 0.24, 0.08), _vot(0.583, 0.173, 0.426)),
    Configuration("vot-googlenet-new", "e14e9b", figures=_vot(0.588, 0.183, 0.437)),
    Configuration("vot-alexnet-multi_temp", "18fd31", _memory(5, 0.5), _vot(0.597, 0.215, 0.370)),
    Configuration("vot-googlenet-multi_temp", "f2680b", _memory(4, 0.4), _vot(0.587, 0.150, 0.467)),
    Configuration("vot-tinyconv", "cb9c2e"),
    Configuration("vot-tinyconv-multi_temp", "cb9c2e", _memory(5, 0.5)),
    Configuration("got-alexnet", "5e01cf", figures=_got((72.0, 85.0, 63.3), (52.6, 62.5, 34.7))),
    Configuration("got-googlenet", "e182dc", figures=_got((76.4, 90.4, 71.8), (60.4, 73.7, 46.4))),
    Configuration("got-googlenet-335", "e182dc", {"search_size": 335}, _got((76.6, 90.6, 71.9), (61.0, 74.2, 46.7))),
    Configuration("got-shufflenetv2x0_5", "d710ce", figures=_got((74.2, 87.0, 67.1), (52.9, 61.7, 38.1))),
    Configuration("got-shufflenetv2x1_0", "aa824c", figures=_got((76.6, 88.8, 71.5), (57.9, 68.1, 43.6))),
    Configuration("lasot-googlenet", "434540", figures=_success("LaSOT", 55.7, 55.6, 58.9)),
    Configuration("lasot-googlenet-399", "434540", {"search_size": 399}, _success("LaSOT", 57.7, 58.2, 61.3)),
    Configuration("trackingnet-googlenet", "1b41f1", figures=_success("TrackingNet", 74.5, 68.5, 79.8)),
    Configuration("trackingnet-googlenet-fulldata", "0b2ab4", figures=_success("TrackingNet", 75.3, 69.5, 80.9)),
    Configuration("otb-alexnet", "88e4e9", _OTB_ALEXNET, _success("OTB2015", 68.0, 88.4)),
    Configuration(
        "otb-googlenet",
        "f2680b",
        _rules(0.5384467870937999, 0.23689856952364602, 0.04326035639699788),
        _success("OTB2015", 68.2, 89.6),
    ),
    Configuration("uav123-alexnet", "88e4e9", _OTB_ALEXNET, _success("UAV123", 62.3, 78.1)),
    Configuration(
        "uav123-googlenet",
        "f2680b",
        _rules(0.5222592132697174, 0.2414722810296582, 0.0730171190610408),
        _success("UAV123", 63.1, 79.5),
    ),
    Configuration("googlenet_bn", "d63a5e", {"head_batch_norm": 1}),
)
CONFIGURATIONS: Mapping[str, Configuration] = {f"SiamFCpp-{entry.name}": entry for entry in _ALL}


def _results(figures: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Benchmark -> its measures and values in a line."""
    lines = {name: ", ".join(f"{k} {v}" for k, v in values.items()) for name, values in figures.items()}
    return {name: line.replace(" 0.", " .") for name, line in lines.items()}


PUBLISHED = tuple(
    Published(
        name,
        "SiamFCpp",
        PAPER,
        gives_masks=False,
        file=entry.file,
        source=SOURCE,
        convert=f"d3s-vot convert {entry.file} {name}.safetensors",
        results=_results(entry.figures),
        speed=SPEED.get(entry.trunk, ""),
    )
    for name, entry in CONFIGURATIONS.items()
)
