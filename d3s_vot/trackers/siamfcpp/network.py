"""The network of SiamFC++: trunk, neck, depth-wise correlation and two heads (paper section 3.2).

Stateless. The template side depends on a template alone; the search side is computed once a frame and compared with
any number of templates. Names of the state dict are those of the published checkpoints. Shapes are those of AlexNet for
search crops of 303 x 303 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.siamfcpp.config import MAX_HEAD_CONVOLUTIONS, STRIDE, SiamFCppConfig
from d3s_vot.trunks.blocks import ConvNorm
from d3s_vot.trunks.trunk import fold_batch_norm


def create_trunk(name: str) -> nn.Module:
    """The trunk of a configuration, with random weights."""
    match name:
        case "alexnet":
            from d3s_vot.trunks.alexnet import AlexNet

            return AlexNet()
        case "googlenet":
            from d3s_vot.trunks.googlenet import GoogLeNet

            return GoogLeNet()
        case "shufflenetv2x0_5" | "shufflenetv2x1_0":
            from d3s_vot.trunks.shufflenetv2 import ShuffleNetV2

            return ShuffleNetV2(name.removeprefix("shufflenetv2"))
        case "tinyconv":
            from d3s_vot.trunks.tinyconv import TinyConv

            return TinyConv()
        case "lite0":
            from d3s_vot.trunks.lite import Lite0

            return Lite0()
    raise ValueError(f"there is no trunk {name!r}")


class Heads(nn.Module):
    """Two towers of convolutions, and what is read from them: target or not, how well centred, the box.

    Args:
        width: channels.
        layers: convolutions of each tower.
        norm: batch norm on the last of them.
    """

    def __init__(self, width: int, layers: int, norm: bool) -> None:
        super().__init__()
        self._layers = layers
        for k in range(1, layers + 1):
            for tower in ("cls", "bbox"):
                self.add_module(f"{tower}_p5_conv{k}", ConvNorm(width, width, 3, norm=norm and k == layers))
        self.cls_score_p5 = ConvNorm(width, 1, 1, relu=False)
        self.ctr_score_p5 = ConvNorm(width, 1, 1, relu=False)
        self.bbox_offsets_p5 = ConvNorm(width, 4, 1, relu=False)
        self.si, self.bi = (nn.Parameter(torch.tensor(value, dtype=torch.float32)) for value in (1.0, 0.0))

    def _tower(self, name: str, x: Tensor) -> Tensor:
        for k in range(1, self._layers + 1):
            x = self.get_submodule(f"{name}_p5_conv{k}")(x)
        return x

    def classify(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """B x 256 x 23 x 23 -> logits of target and of centre-ness, B x 1 x 17 x 17 each."""
        c = self._tower("cls", c)
        return self.cls_score_p5(c), self.ctr_score_p5(c)

    def regress(self, r: Tensor) -> Tensor:
        """B x 256 x 23 x 23 -> distances to the left, top, right, bottom side, pixels of the crop: B x 4 x 17 x 17."""
        return STRIDE * torch.exp(self.si * self.bbox_offsets_p5(self._tower("bbox", r)) + self.bi)


class SiamFCppNetwork(nn.Module):
    """Trunk, neck and heads.

    Args:
        trunk: its name.
        config: how the heads are built.
    """

    def __init__(self, trunk: str, config: SiamFCppConfig) -> None:
        super().__init__()
        self.basemodel = create_trunk(trunk)
        width = int(self.basemodel.channels)  # type: ignore[arg-type]
        self.c_z_k, self.r_z_k, self.c_x, self.r_x = (ConvNorm(width, width, 3, relu=False) for _ in range(4))
        self.head = Heads(width, config.head_convolutions, bool(config.head_batch_norm))

    def freeze(self) -> SiamFCppNetwork:
        """Evaluation mode, no gradients, batch norm folded into the convolutions; returns itself."""
        self.eval().requires_grad_(False)
        fold_batch_norm(self)
        return self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode_template(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Template crops (B x 3 x 127 x 127 RGB, 0..255) -> kernels for classes and boxes, B x 256 x 4 x 4 each."""
        features = self.basemodel(images)
        return self.c_z_k(features), self.r_z_k(features)

    def encode_search(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Search crops (B x 3 x 303 x 303 RGB, 0..255) -> features for classes and boxes, B x 256 x 26 x 26 each."""
        features = self.basemodel(images)
        return self.c_x(features), self.r_x(features)

    def score(self, c_x: Tensor, c_z: Tensor) -> Tensor:
        """Score of every location: B x 256 x 26 x 26 against B x 256 x 4 x 4 -> B x 17 x 17, 0..1."""
        target, centre = self.class_logits(c_x, c_z)
        return (torch.sigmoid(target) * torch.sigmoid(centre))[:, 0]

    def class_logits(self, c_x: Tensor, c_z: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of target and of centre-ness: B x 256 x 26 x 26 against B x 256 x 4 x 4 -> B x 1 x 17 x 17 each."""
        return self.head.classify(correlate(c_x, c_z))

    def distances(self, r_x: Tensor, r_z: Tensor) -> Tensor:
        """Distances to the four sides, see `Heads.regress`: B x 256 x 26 x 26, B x 256 x 4 x 4 -> B x 4 x 17 x 17."""
        return self.head.regress(correlate(r_x, r_z))


def correlate(search: Tensor, kernels: Tensor) -> Tensor:
    """Depth-wise correlation: B x C x H x W with B x C x k x k -> B x C x H-k+1 x W-k+1."""
    b, c, h, w = search.shape
    k = kernels.shape[-1]
    joined = F.conv2d(search.reshape(1, b * c, h, w), kernels.reshape(b * c, 1, k, k), groups=b * c)
    return joined.view(b, c, h - k + 1, w - k + 1)


def read_architecture(state: Mapping[str, Tensor]) -> tuple[str, SiamFCppConfig]:
    """Trunk and heads of the network whose state dict this is, with the defaults for all rules.

    Raises:
        CheckpointError: it is of another network; names and shapes of a known one are not looked at further.
    """
    if "basemodel.Conv2d_1a_3x3.conv.weight" in state:
        trunk = "googlenet"
    elif "basemodel._model.stage2.0.branch1.0.weight" in state:
        wide = state.get("basemodel._model.stage4.0.branch2.0.weight")
        trunk = "shufflenetv2x0_5" if wide is not None and len(wide) == 96 else "shufflenetv2x1_0"
    elif "basemodel.conv2b.conv.weight" in state:
        trunk = "tinyconv"
    elif "basemodel.trunk.stages.0.0.0.weight" in state:
        trunk = "lite0"
    elif "basemodel.conv5.conv.weight" in state:
        trunk = "alexnet"
    else:
        raise CheckpointError("it has none of the trunks of SiamFC++")
    layers = sum(f"head.cls_p5_conv{k}.conv.weight" in state for k in range(1, MAX_HEAD_CONVOLUTIONS + 1))
    norm = f"head.cls_p5_conv{layers}.bn.weight" in state
    return trunk, SiamFCppConfig(head_convolutions=max(layers, 1), head_batch_norm=int(norm))
