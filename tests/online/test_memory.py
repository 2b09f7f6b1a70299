"""Which slot a new sample takes, and what every sample then weighs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d3s_vot.online.memory import SampleWeights


@pytest.mark.parametrize("tracker", ["atom", "dimp"])
@pytest.mark.parametrize(("kind", "rate", "share"), [("min", 0.01, 0.25), ("free", 0.0075, 0.0)])
def test_golden_bookkeeping(golden, tracker, kind, rate, share) -> None:
    g = golden("atom_online.npz")
    memory = SampleWeights(24, 12, share)
    for i, given in enumerate(g["rates"]):
        assert memory.add(rate if np.isnan(given) else float(given)) == g[f"{tracker}_{kind}_slot"][i]
        assert np.abs(memory.weights.numpy() - g[f"{tracker}_{kind}_weight"][i]).max() < 1e-5


def test_the_first_frames_samples_keep_their_slots_and_their_share() -> None:
    memory = SampleWeights(6, 4, 0.25)
    slots = [memory.add(0.5) for _ in range(6)]
    assert slots == [4, 5, 4, 5, 4, 5] and memory.filled == 6
    assert torch.allclose(memory.weights[:4], torch.full((4,), 0.0625))


def test_without_a_share_any_slot_may_go() -> None:
    memory, seen = SampleWeights(6, 4), set()
    for _ in range(12):
        smallest = int(memory.weights.argmin())
        assert memory.add(0.3) == smallest
        assert memory.weights.sum() == pytest.approx(1)
        seen.add(smallest)
    assert seen == set(range(6))


def test_a_second_sample_that_begins_as_the_first_ones() -> None:
    memory = SampleWeights(4, 2, equal_start=True)
    assert memory.add(0.2) == 2 and torch.allclose(memory.weights, torch.tensor([1, 1, 1, 0]) / 3)
    assert memory.add(0.2) == 3 and memory.weights[3] / memory.weights[2] == pytest.approx(1.25)


def test_slots_that_nothing_was_put_into_weigh_nothing() -> None:
    memory = SampleWeights(3, 0)
    assert memory.filled == 0 and not memory.weights.any()
