"""The networks of KYS: DiMP's classifier and box regressor on a trunk, and what predicts from the scene.

Names of the predictor's state dict are the published ones.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from d3s_vot.compute.timing import stage
from d3s_vot.heads.filter import Classifier, LearntLeastSquares
from d3s_vot.heads.sight import Sight
from d3s_vot.trackers.kys.config import KYSConfig
from d3s_vot.trackers.kys.matching import costs, shifted
from d3s_vot.trunks.trunk import CHANNELS

STATES = 8  # channels of what is known of a place
INPUTS = 4  # of the recurrent unit: score, fused score, the maximum of either


class SceneSight(Sight):
    """A `Sight` that gives the trunk's features at stride 16 too, before its other maps: n x C x z/16 x z/16."""

    def forward(self, samples: Tensor) -> tuple[Tensor, ...]:
        features = self.trunk(samples)
        return (features[16].float(), *self.maps(features))


class Fused(NamedTuple):
    """What the predictor makes of a frame.

    Attributes:
        response: B x 1 x n x n, 0..1; its middle is at index n / 2.
        state: B x 8 x n x n, what is known of every place now.
    """

    response: Tensor
    state: Tensor


class ScenePredictor(nn.Module):
    """Carries the states of places along and fuses them with the classifier's score (KYS, sections 3.2 to 3.4).

    Args:
        config: constants of the weights.
    """

    def __init__(self, config: KYSConfig) -> None:
        super().__init__()
        self.config = config
        self.cost_volume_proc1, self.cost_volume_proc2 = _processing(), _processing()
        self.init_hidden_state_predictor = nn.Sequential(nn.Sequential(_conv(1, STATES, bias=False), nn.Tanh()))
        self.representation_predictor = nn.Sequential(nn.Sequential(_conv(STATES + 2, 16), nn.ReLU()))
        self.response_predictor = nn.Sequential(nn.Sequential(_conv(16, 1), nn.Sigmoid()))
        self.state_predictor = GatedUnit(INPUTS, STATES)
        self.is_target_predictor = nn.Sequential(
            nn.Sequential(_conv(STATES, 4), nn.ReLU()), nn.Sequential(_conv(4, 1))
        )

    def freeze(self) -> ScenePredictor:
        """Evaluation mode, no gradients; returns itself. Batch norm stays: rounding shows in sharp matches."""
        return self.eval().requires_grad_(False)

    @stage("scene")
    def forward(
        self, current: Tensor, previous: Tensor, score: Tensor, window: Tensor, state: Tensor
    ) -> Fused:
        """From one frame to the next.

        Args:
            current: the trunk's features at stride 16, B x C x n x n.
            previous: those of the last frame with a target, B x C x n x n.
            score: the classifier's, windowed, B x 1 x n x n.
            window: n x n.
            state: of `previous`, B x 8 x n x n.
        """
        carried, uncertain = self.carry(self.match(costs(current, previous, self.config.reach)), state)
        score = self.to_cells(score)
        fused = self.fuse(carried, score, uncertain) * ((score > self.config.score_threshold) * window)
        peaks = [each.amax(dim=(2, 3), keepdim=True).expand_as(each) for each in (score, fused)]
        new = self.state_predictor(torch.cat([score, fused, *peaks], dim=1), carried)
        return Fused(torch.relu(self.from_cells(fused)), new)

    def match(self, cost: Tensor) -> Tensor:
        """Costs (see `costs`) to the share of every previous cell in a current one: B x n n x n n; columns add to 1."""
        b, *axes = cost.shape
        n, m = axes[:2]
        maps = cost.reshape(b * n * m, 1, n, m)  # of a previous cell each
        share = torch.softmax(self.cost_volume_proc1(maps).flatten(1), dim=1).view_as(maps)
        return torch.softmax(self.cost_volume_proc2(share).view(b, n * m, n * m), dim=1)

    def carry(self, weights: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """States at their new places, B x 8 x n x n; and how uncertain these are, an entropy: B x 1 x n x n."""
        carried = (state.flatten(2) @ weights).view_as(state)
        entropy = -(weights * torch.log(weights + 1e-4)).sum(dim=1)  # B x n n
        return carried, entropy.view(len(state), 1, *state.shape[2:])

    def fuse(self, carried: Tensor, score: Tensor, uncertain: Tensor) -> Tensor:
        """The score with what is known of the places: B x 1 x n x n, 0..1."""
        return self.response_predictor(self.representation_predictor(torch.cat([carried, score, uncertain], dim=1)))

    def first_state(self, label: Tensor) -> Tensor:
        """States from where the target is, B x 1 x n x n: B x 8 x n x n."""
        return self.init_hidden_state_predictor(self.to_cells(label))

    def target_in(self, state: Tensor) -> Tensor:
        """Where states believe the target to be, B x 1 x n x n; trained with the rest, not asked while tracking."""
        return self.from_cells(self.is_target_predictor(state))

    def to_cells(self, maps: Tensor) -> Tensor:
        """The classifier's maps on the trunk's cells, a quarter of a cell away, as published."""
        return self._moved(maps, -0.5)

    def from_cells(self, maps: Tensor) -> Tensor:
        """The way back."""
        return self._moved(maps, 0.5)

    def _moved(self, maps: Tensor, by: float) -> Tensor:
        return shifted(maps, (by / maps.shape[3], by / maps.shape[2]), bool(self.config.align_corners))


class GatedUnit(nn.Module):
    """A gated recurrent unit of maps.

    Args:
        inputs: channels.
        states: channels.
    """

    def __init__(self, inputs: int, states: int) -> None:
        super().__init__()
        self.conv_reset, self.conv_update, self.conv_state_new = (_conv(inputs + states, states) for _ in range(3))

    def forward(self, inputs: Tensor, state: Tensor) -> Tensor:
        """The next state: B x inputs x n x n, B x states x n x n -> B x states x n x n."""
        both = torch.cat([inputs, state], dim=1)
        reset, update = torch.sigmoid(self.conv_reset(both)), torch.sigmoid(self.conv_update(both))
        new = torch.tanh(self.conv_state_new(torch.cat([inputs, reset * state], dim=1)))
        return (1 - update) * state + update * new


def _conv(cin: int, cout: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, 3, padding=1, bias=bias)


def _processing() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(_conv(1, 8), nn.BatchNorm2d(8), nn.ReLU()), nn.Sequential(_conv(8, 1), nn.BatchNorm2d(1))
    )


def create_classifier(trunk: str, config: KYSConfig) -> Classifier:
    """DiMP's classifier on a trunk, with random weights."""
    return Classifier(CHANNELS[trunk][3], LearntLeastSquares(config))
