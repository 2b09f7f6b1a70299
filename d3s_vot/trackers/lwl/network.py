"""The network of LWL: trunk, target features, encoders of masks and of a box, decoder (Bhat et al., ECCV 2020).

Names of the state dict are those of the published checkpoints. Shapes are those of samples of 480 x 832 pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from d3s_vot.trackers.lwl.config import BLOCKS, LWLConfig
from d3s_vot.trackers.lwl.decoder import TRUNK, Decoder

MEAN_BGR = (102.9801, 115.9465, 122.7717)  # on the scale 0..255; there is no division
ENCODING = 16  # channels of a mask's encoding
FILTER_SIDE = 3


def create_trunk(depth: int, width: int) -> nn.Module:
    """A ResNet as Mask R-CNN has it: the stride of a stage is that of its first 1x1 convolution.

    Args:
        depth: a key of `BLOCKS`, published 50.
        width: channels of the first stage's 3x3 convolutions, published 64; what the stages give is as wide as ever.
    """
    from torchvision.models import resnet  # seconds to import, which other trackers do not need

    network = resnet.ResNet(resnet.Bottleneck, list(BLOCKS[depth]), width_per_group=width)
    network.fc = nn.Identity()
    for block in (network.layer2[0], network.layer3[0], network.layer4[0]):
        block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)
    return network


class ResidualBlock(nn.Module):
    """Two convolutions, and a third beside them: B x cin x H x W -> B x cout x H/stride x W/stride."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1, bias=False)
        self.downsample = nn.Conv2d(cin, cout, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.downsample(x))


class LabelEncoder(nn.Module):
    """Masks (B x 1 x 480 x 832, 0..1) to what a filter should predict, and how much that counts at each place.

    Both are B x 16 x 30 x 52; weights may be negative.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU())
        self.res1, self.res2 = ResidualBlock(16, 32, 2), ResidualBlock(32, 64, 2)
        self.label_pred = nn.Sequential(nn.Conv2d(64, ENCODING, 3, padding=1), nn.ReLU())
        self.samp_w_pred = nn.Conv2d(64, ENCODING, 3, padding=1)

    def forward(self, masks: Tensor) -> tuple[Tensor, Tensor]:
        x = F.max_pool2d(self.conv_block(masks), 3, stride=2, padding=1)
        x = self.res2(self.res1(x))
        return self.label_pred(x), self.samp_w_pred(x)


class BoxEncoder(nn.Module):
    """Target features (B x 512 x h x w) and a box's filled rectangle (B x 1 x H x W) to an encoding, B x 16 x h x w."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.res = nn.Sequential(ResidualBlock(channels + 1, 64, 1), ResidualBlock(64, 64, 1))
        self.label_pred = nn.Sequential(nn.Conv2d(64, ENCODING, 3, padding=1), nn.ReLU())

    def forward(self, features: Tensor, filled: Tensor) -> Tensor:
        shown = F.interpolate(filled, features.shape[-2:], mode="bilinear", align_corners=False)
        return self.label_pred(self.res(torch.cat([features, shown], dim=1)))


class TargetModel(nn.Module):
    """The features that the filter sees, and the regularisation that its learning was trained with."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.feature_extractor = nn.Sequential(nn.Conv2d(TRUNK["layer3"], channels, 3, padding=1, bias=False))
        regularization = nn.Parameter(torch.full((1,), 0.01, dtype=torch.float32, device="cpu"))
        residuals = nn.ParameterDict({"filter_reg": regularization})  # of one number, under its published name
        self.filter_optimizer = nn.ModuleDict({"residual_module": residuals})

    @property
    def regularization(self) -> Tensor:
        """Of the filter, a number."""
        return self.get_parameter("filter_optimizer.residual_module.filter_reg")

    @staticmethod
    def normalise(x: Tensor) -> Tensor:
        """Bring each item of B x 512 x h x w to a norm that its size alone gives; too much for half precision."""
        x = x.float()
        gain = math.sqrt(1 / (x.shape[1] * FILTER_SIDE**2))
        energy = x.square().sum(dim=(1, 2, 3), keepdim=True)
        return x * (gain * (x[0].numel() / (energy + 1e-5)).sqrt())

    def forward(self, layer3: Tensor) -> Tensor:
        """B x 1024 x h x w -> B x 512 x h x w."""
        return self.normalise(self.feature_extractor(layer3))


class LWLNetwork(nn.Module):
    """All parts.

    Args:
        config: widths, and whether it can begin with a box.
    """

    mean: Tensor

    def __init__(self, config: LWLConfig) -> None:
        super().__init__()
        self.feature_extractor = create_trunk(config.trunk_depth, config.trunk_width)
        self.target_model = TargetModel(config.target_channels)
        self.label_encoder = LabelEncoder()
        self.decoder = Decoder(ENCODING, config.decoder_width)
        if config.box_start:
            self.box_label_encoder = BoxEncoder(config.target_channels)
        numbers = torch.tensor(MEAN_BGR, dtype=torch.float32, device="cpu").view(1, 3, 1, 1)
        self.register_buffer("mean", numbers, persistent=False)

    def trunk(self, images: Tensor) -> dict[str, Tensor]:
        """Features of images (B x 3 x H x W RGB, 0..255), by the names of their layers: at strides 4, 8, 16, 32."""
        x = images.flip(1) - self.mean
        levels = {}
        for name, part in self.feature_extractor.named_children():
            if name.startswith(("conv", "bn", "relu", "maxpool", "layer")):
                x = part(x)
            if name.startswith("layer"):
                levels[name] = x
        return levels
