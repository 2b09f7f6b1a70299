"""The networks of DiMP: classifier and box regressor on a trunk."""

from __future__ import annotations

from d3s_vot.heads.config import ClassifierConfig
from d3s_vot.heads.filter import Classifier, LearntLeastSquares, NewtonCrossEntropy, SteepestDescent
from d3s_vot.trackers.dimp.config import DiMPConfig
from d3s_vot.trunks.trunk import CHANNELS


def create_classifier(trunk: str, config: DiMPConfig) -> Classifier:
    """The classifier on a trunk, with random weights."""
    trained = ClassifierConfig(
        **{name: getattr(config, name) for name in ClassifierConfig.__dataclass_fields__}
    )
    teacher: SteepestDescent = (NewtonCrossEntropy if config.density else LearntLeastSquares)(trained)
    return Classifier(CHANNELS[trunk][3], teacher)
