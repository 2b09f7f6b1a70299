"""A frozen feature trunk: a batch of images in, {stride: features} out, normalisation inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from d3s_vot.compute.timing import stage

CHANNELS: dict[str, tuple[int, int, int, int]] = {
    "efficientnet_lite0": (16, 24, 40, 112),
    "efficientnet_lite2": (16, 24, 48, 120),
    "resnet18": (64, 64, 128, 256),
    "resnet34": (64, 64, 128, 256),
    "resnet50": (64, 256, 512, 1024),
    "resnet50_caffe": (64, 256, 512, 1024),
}

PACKAGED = ("efficientnet_lite0", "efficientnet_lite2")  # weights come with the installation


class Trunk(nn.Module):
    """A frozen ImageNet network cut at stride 16.

    Args:
        name: one of `CHANNELS`.
        stages: four modules; stage k takes the output of stage k - 1 and has stride 2 ** k.
        mean: of each colour, on the scale 0..255.
        std: of each colour, on the scale 0..255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, stages: list[nn.Module], mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.name = name
        self.channels = CHANNELS[name]
        self.stages = nn.ModuleList(stages)
        for statistic, values in (("mean", mean), ("std", std)):
            numbers = torch.tensor(values, dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
            self.register_buffer(statistic, numbers, persistent=False)

    @stage("trunk")
    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Features of RGB images.

        Args:
            images: B x 3 x H x W, uint8 or float on the scale 0..255; H and W multiples of 16.

        Returns:
            {2: B x C1 x H/2 x W/2, 4: ..., 8: ..., 16: B x C4 x H/16 x W/16}.
        """
        x = (images.to(self.mean.dtype) - self.mean) / self.std
        x = x.contiguous(memory_format=torch.channels_last)
        features = {}
        for k, layers in enumerate(self.stages, start=1):
            x = layers(x)
            features[2**k] = x
        return features

    def freeze(self) -> Trunk:
        """Evaluation mode, no gradients, batch norm folded into the convolutions; returns itself."""
        self.eval().requires_grad_(False)
        fold_batch_norm(self)
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fold_batch_norm(root: nn.Module) -> None:
    """Replace every (convolution, batch norm) pair that runs one after the other by one convolution.

    In all trunks here the children of a module are registered in the order in which they run.
    """
    for module in root.modules():
        last: tuple[str, nn.Conv2d] | None = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and last is not None:
                setattr(module, last[0], fuse_conv_bn_eval(last[1], child))
                setattr(module, name, nn.Identity())
            last = (name, child) if isinstance(child, nn.Conv2d) else None
