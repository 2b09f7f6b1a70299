"""What changes from step to step: the learning rate."""

from __future__ import annotations

import math

from train.config import TrainConfig


def rate(config: TrainConfig, iteration: int) -> float:
    """Factor of the learning rate in a step: a linear warm-up, then half a cosine to a hundredth or to zero, or steps.

    >>> from train.config import TrainConfig
    >>> steps = TrainConfig(decay="step", step_iterations=10, step_factor=0.5, warmup=2)
    >>> [rate(steps, n) for n in (0, 1, 9, 10, 25)]
    [0.5, 1.0, 1.0, 0.5, 0.25]
    """
    if iteration < config.warmup:
        return (iteration + 1) / config.warmup
    if config.decay == "step":
        return config.step_factor ** (iteration // config.step_iterations)
    done = (iteration - config.warmup) / max(config.iterations - config.warmup, 1)
    least = 0.0 if config.decay == "cosine-to-zero" else 0.01
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
