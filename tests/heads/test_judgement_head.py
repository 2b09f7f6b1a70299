"""The head that judges a crop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d3s_vot.heads.judgement import JudgementHead
from d3s_vot.online.evidence import MAPS, MEASURES, Evidence


def evidence(seed: int, grid: int = 24) -> Evidence:
    rng = np.random.default_rng(seed)
    return Evidence(
        rng.uniform(0, 1, (MAPS, grid, grid)).astype(np.float32), rng.normal(size=len(MEASURES)).astype(np.float32)
    )


def test_a_verdict_is_the_networks_answer() -> None:
    torch.manual_seed(0)
    head = JudgementHead().eval()
    found = evidence(1)
    with torch.inference_mode():
        verdict = head.judge(found)
        logits = head(torch.from_numpy(found.maps)[None], torch.from_numpy(found.measures)[None])[0]
    assert verdict.presence == pytest.approx(logits[0].sigmoid().item(), abs=1e-6)
    assert verdict.quality == pytest.approx(logits[1].sigmoid().item(), abs=1e-6)
    assert verdict.log_size == pytest.approx(logits[2].item(), abs=1e-6)


def test_far_logits_do_not_overflow() -> None:
    head = JudgementHead().eval()
    with torch.inference_mode():
        head.out.bias.copy_(torch.tensor([-5e3, 5e3, 0.0]))
        verdict = head.judge(evidence(2))
    assert verdict.presence == 0 and verdict.quality == 1


def test_crops_of_other_sizes_are_judged_too() -> None:
    with torch.inference_mode():
        assert 0 < JudgementHead().eval().judge(evidence(3, grid=16)).quality < 1
