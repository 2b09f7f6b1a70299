"""`d3s-vot bench`: what it measures adds up; how often the costly parts run in a frame is counted, not timed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import pytest
import torch
from scenes import scene
from torch.utils._python_dispatch import TorchDispatchMode

from d3s_vot.cli.bench import bench, text
from d3s_vot.errors import InputError
from d3s_vot.online.correlation import Samples
from d3s_vot.online.gauss_newton import Linearization
from d3s_vot.tracker import Tracker as D3STracker
from d3s_vot.trunks.trunk import Trunk
from d3s_vot.zoo import Choice, load_model


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    (tmp_path / "color").mkdir()
    for t in range(4):
        cv2.imwrite(str(tmp_path / "color" / f"{t + 1:08d}.jpg"), scene(t)[0][:, :, ::-1])
    (tmp_path / "groundtruth.txt").write_text("\n".join(",".join(map(str, scene(t)[1].one_based())) for t in range(4)))
    return tmp_path


def test_stages_add_up(sequence: Path) -> None:
    result = bench(sequence, Choice(device="cpu"), threads=torch.get_num_threads(), frames=6)
    assert result["frames"] == 5  # the sequence is repeated
    stages = {"decode", "crop", "trunk", "GEM", "network", "judgement", "fit", "output"}
    assert stages <= result["frame"]["stages"].keys()
    total = sum(result["frame"]["stages"].values())
    assert result["fps"] == pytest.approx(1e3 / total)
    assert 0 < result["frame"]["p50"] <= result["frame"]["p95"]
    page = text(result)
    assert f"{result['fps']:.1f} frames/s" in page and "D3S, efficientnet_lite0, preset exact" in page


def test_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="VOT layout"):
        bench(tmp_path, Choice(device="cpu"))


class Calls(TorchDispatchMode):
    """Counts torch's operations and the large tensors among their results."""

    def __init__(self) -> None:
        super().__init__()
        self.large: Counter[str] = Counter()
        self.all = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.all += 1
        if isinstance(result, torch.Tensor) and result.numel() * result.element_size() > 2**20:
            self.large[str(function)] += 1
        return result


def test_work_of_a_frame_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two passes through the trunk at initialisation's crop and one a frame each; 2 + 2 x 5 products an update."""
    counts: Counter[str] = Counter()

    def count(owner: type, name: str, label: str) -> None:
        original = getattr(owner, name)

        def counted(*args, **kwargs):
            counts[label] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(Trunk, "forward", "trunk")
    count(Linearization, "forward", "product")
    count(Linearization, "transpose", "product")
    count(Samples, "write", "memory")
    tracker = D3STracker(load_model("D3S", "cpu"))
    tracker.initialize(*scene(0))
    assert counts["trunk"] == 9 + 2  # 27 patches in threes, and one crop, which is judged with the template from it
    assert counts["product"] == 6 * (1 + 2 * 10)
    seen = []
    for t in range(1, 13):
        counts.clear()
        tracker.track(scene(t)[0])
        seen.append(dict(counts))
    assert all(frame["trunk"] == 2 for frame in seen)
    assert all(frame.get("memory", 0) == 1 for frame in seen)
    updates = [frame["product"] for frame in seen if "product" in frame]
    assert updates and all(products == 1 + 2 * 5 for products in updates)


def test_allocations_of_a_frame_do_not_grow() -> None:
    # With the judgement a frame may do more than another.
    tracker = D3STracker(load_model("D3S", "cpu", rules="calibrated"))
    tracker.initialize(*scene(0))
    totals = []
    for t in range(1, 9):
        with Calls() as calls:
            tracker.track(scene(t)[0])
        totals.append((calls.all, sum(calls.large.values())))
    assert len(set(totals[1:])) == 1, totals
