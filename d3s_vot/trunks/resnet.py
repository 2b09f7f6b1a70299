"""Trunks of torchvision's ResNets, and of the one that Caffe had."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.fitting import load_exactly, shapes_of

UNUSED = ("layer4.", "fc.")  # beginnings of names of layers that no trunk has


def resnet_shapes(name: str, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names, with a prefix, and shapes of all tensors of torchvision's network, those that a trunk leaves out too."""
    from torchvision import models  # seconds to import, which the packaged trunks do not need

    return shapes_of(lambda: getattr(models, name)(weights=None), prefix)


def build_resnet(name: str, state: Mapping[str, Tensor]) -> Trunk:
    """A ResNet, not frozen yet, of tensors with torchvision's names."""
    from torchvision import models  # seconds to import, which the packaged trunks do not need

    caffe = name == "resnet50_caffe"
    network = getattr(models, "resnet50" if caffe else name)(weights=None)
    network.layer4 = network.fc = nn.Identity()
    if caffe:
        for block in (network.layer2[0], network.layer3[0]):
            block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1.001e-5
    load_exactly(network, state, f"trunk {name}", ignore=UNUSED)
    stages: list[nn.Module] = [
        nn.Sequential(network.conv1, network.bn1, network.relu),
        nn.Sequential(network.maxpool, network.layer1),
        network.layer2,
        network.layer3,
    ]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Trunk(name, stages, [255 * m for m in mean], [255 * s for s in std])
