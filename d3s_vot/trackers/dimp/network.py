"""The networks of DiMP: classifier and box regressor on a trunk."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from d3s_vot.heads.config import ClassifierConfig
from d3s_vot.heads.filter import Classifier, LearntLeastSquares, NewtonCrossEntropy, SteepestDescent
from d3s_vot.heads.iou import BoxRegressor
from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trunks.trunk import CHANNELS


def create_classifier(trunk: str, config: DiMPConfig) -> Classifier:
    """The classifier on a trunk, with random weights."""
    trained = ClassifierConfig(
        **{name: getattr(config, name) for name in ClassifierConfig.__dataclass_fields__}
    )
    teacher: SteepestDescent = (NewtonCrossEntropy if config.density else LearntLeastSquares)(trained)
    return Classifier(CHANNELS[trunk][3], teacher)


def create_regressor(trunk: str) -> BoxRegressor:
    """The box regressor on a trunk, with random weights."""
    return BoxRegressor(*CHANNELS[trunk][2:])


def random_state(trunk: str, config: DiMPConfig, seed: int = 0) -> dict[str, Tensor]:
    """Weights that training begins with, by the published names; the trunk's are random too."""
    from torchvision import models

    with torch.random.fork_rng(), torch.device("cpu"):
        torch.manual_seed(seed)
        classifier = create_classifier(trunk, config)
        classifier.filter_optimizer.start()  # type: ignore[operator, attr-defined]
        network = getattr(models, trunk)(weights=None)
        network.layer4 = network.fc = nn.Identity()
        parts = {"feature_extractor": network, "classifier": classifier, "bb_regressor": create_regressor(trunk)}
    return {f"{part}.{k}": v for part, module in parts.items() for k, v in module.state_dict().items()}
