"""The preset fast: close to the exact one, and the same twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import scene

from d3s_vot import D3STracker, load_tracker
from d3s_vot.compute.half import Half
from d3s_vot.errors import InputError
from d3s_vot.regions import box_iou
from d3s_vot.zoo import load_model


def follow(tracker: D3STracker, frames: int = 5) -> list:
    tracker.initialize(*scene(0))
    return [tracker.track(scene(t)[0]) for t in range(1, frames)]


def test_answers_are_those_of_the_exact_preset(fast_preset: D3STracker, small_weights: Path) -> None:
    for quick, exact in zip(follow(fast_preset), follow(load_tracker(small_weights, "cpu")), strict=True):
        assert box_iou(quick.box, exact.box) > 0.9
        assert np.abs(quick.mask ^ exact.mask).mean() < 0.005
        assert quick.confidence == pytest.approx(exact.confidence, abs=0.02)
        assert quick.visible == exact.visible


def test_features_and_probabilities_are_near_the_exact_ones(fast_preset: D3STracker, small_weights: Path) -> None:
    exact, model = load_model(small_weights, "cpu"), fast_preset.model
    patches = torch.rand(27, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 255
    for some in (patches[:1], patches):
        expected = exact.gem_features(some)
        difference = (model.gem_features(some) - expected).norm() / expected.norm()
        assert difference < 0.07  # of bfloat16, on noise
    crop = np.random.default_rng(0).integers(0, 256, (384, 384, 3), np.uint8)
    mask = np.zeros((384, 384))
    mask[100:200, 120:260] = 1
    template = exact.encode_template(exact.features(crop), mask)
    (quick,), (slow,) = (m.inspect([(crop, template)]) for m in (model, exact))
    assert np.abs(quick.probability - slow.probability).mean() < 0.02
    assert (quick.vectors * slow.vectors).sum(axis=0).mean() > 0.98  # cosine of each cell
    assert np.abs(quick.similarities - slow.similarities).mean() < 0.03


def test_same_input_same_bits(fast_preset: D3STracker) -> None:
    once, again = follow(fast_preset), follow(fast_preset.fork())
    assert [p.region for p in once] == [p.region for p in again]
    assert all(np.array_equal(a.patch.probability, b.patch.probability) for a, b in zip(once, again, strict=True))


def test_ctrl_c_is_heard(fast_preset: D3STracker) -> None:
    """OpenVINO replaces the stack that Python's handlers of signals run on, by one that is gone."""
    code = (
        "import faulthandler, signal; faulthandler.enable()\n"
        "from d3s_vot import load_tracker; from scenes import scene\n"
        "tracker = load_tracker(preset='fast'); tracker.initialize(*scene(0)); tracker.track(scene(1)[0])\n"
        "signal.signal(signal.SIGINT, lambda *_: print('heard'))\n"
        "signal.raise_signal(signal.SIGINT)"
    )
    paths = os.pathsep.join(map(str, Path(__file__).parents[2:4]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_half_precision_in_torch_as_on_a_gpu(small_weights: Path) -> None:
    exact, half = load_model(small_weights, "cpu"), load_model(small_weights, "cpu")
    half.networks = {name: Half(network, half.device) for name, network in half.networks.items()}
    for quick, slow in zip(follow(D3STracker(half), 2), follow(D3STracker(exact), 2), strict=True):
        assert box_iou(quick.box, slow.box) > 0.9
        assert quick.confidence != slow.confidence
        assert quick.patch is not None and quick.patch.probability.dtype == np.float32


def test_without_openvino_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"install d3s-vot\[fast\]"):
        load_tracker("D3S", "cpu", preset="fast")


def test_a_processor_that_openvino_cannot_compile_for(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino", reason="the preset fast needs OpenVINO on a CPU")

    def fail(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:117:\nobject is not initialized\n\n")

    monkeypatch.setattr(openvino.Core, "compile_model", fail)
    with pytest.raises(InputError, match=r"cannot be had.* processor.*\(object is not initialized\); use") as caught:
        load_tracker("D3S", "cpu", preset="fast")
    assert "\n" not in str(caught.value)


def test_unknown_preset() -> None:
    with pytest.raises(InputError, match="no preset 'quick'; use exact or fast"):
        load_tracker("D3S", preset="quick")
