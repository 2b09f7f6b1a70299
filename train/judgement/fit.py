"""Fitting the head to samples, and how good it is on others."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from d3s_vot.heads.judgement import JudgementHead
from train.judgement.samples import KINDS, Samples

BATCH = 64
RATE = 3e-3
LARGEST = 1.5  # logarithm of a size: farther off is as far


def fit(samples: Samples, epochs: int, seed: int) -> JudgementHead:
    """A head for these samples, in evaluation mode; a seed gives the same one again on the same machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = JudgementHead()
        maps, measures = torch.from_numpy(samples.maps.astype(np.float32)), torch.from_numpy(samples.measures)
        truth = torch.from_numpy(np.stack([samples.presence, samples.quality, samples.log_size], axis=1))  # n x 3
        head.mean.copy_(measures.mean(dim=0))
        head.std.copy_(measures.std(dim=0) + 1e-3)
        optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=1e-3)
        steps = epochs * max(len(samples) // BATCH, 1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1)
        head.train()
        for _ in range(epochs):
            for batch in torch.randperm(len(samples)).split(BATCH):
                if len(batch) < min(BATCH, len(samples)):
                    continue
                x = maps[batch]
                if torch.rand(()) < 0.5:  # a mirrored crop is as likely
                    x = x.flip(3)
                loss = _loss(head(x, measures[batch]), truth[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return head.eval()


def _loss(found: Tensor, truth: Tensor) -> Tensor:
    """Of n x 3 answers: cross entropy of presence and of the overlap, and the error of the size where there is one."""
    presence, quality, log_size = truth.unbind(dim=1)
    loss = F.binary_cross_entropy_with_logits(found[:, 0], presence)
    loss = loss + 2 * F.binary_cross_entropy_with_logits(found[:, 1], quality.clamp(0, 1))
    known = (presence > 0) & ~log_size.isnan()
    if known.any():
        wanted = log_size[known].clamp(-LARGEST, LARGEST)
        loss = loss + 2 * F.smooth_l1_loss(found[known, 2], wanted, beta=0.1)
    return loss


def report(head: JudgementHead, samples: Samples) -> dict[str, float]:
    """How good a head is on samples that it was not fitted to.

    Returns:
        ROC area of good (overlap > .5) against lost (< .1) crops; calibration: the mean gap between what it says and
        the overlap, over ten bins of what it says; and for the crops of each kind that show the target, the median
        error of the logarithm of the size.
    """
    with torch.inference_mode():
        found = head(torch.from_numpy(samples.maps.astype(np.float32)), torch.from_numpy(samples.measures)).numpy()
    said = 1 / (1 + np.exp(-found[:, 1]))
    good, lost = samples.quality > 0.5, samples.quality < 0.1
    told = {"ROC area": _roc_area(said[good], said[lost]), "calibration": _gap(said, samples.quality)}
    for kind in dict.fromkeys(KINDS):
        among = np.isin(samples.kind, [k for k, name in enumerate(KINDS) if name == kind])
        shown = among & (samples.presence > 0) & ~np.isnan(samples.log_size)
        if shown.any():
            told[f"size, {kind}"] = float(np.median(np.abs(found[shown, 2] - samples.log_size[shown])))
    return told


def _roc_area(good: NDArray, lost: NDArray) -> float:
    ordered = np.sort(lost)
    ranks = (np.searchsorted(ordered, good, "left") + np.searchsorted(ordered, good, "right")) / 2
    return float(ranks.mean() / len(lost)) if len(good) and len(lost) else np.nan


def _gap(said: NDArray, truth: NDArray) -> float:
    bins = np.minimum((10 * said).astype(int), 9)
    gaps = [abs(said[bins == k].mean() - truth[bins == k].mean()) * (bins == k).sum() for k in set(bins.tolist())]
    return float(sum(gaps) / len(said))
