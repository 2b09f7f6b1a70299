"""How networks are computed: as the reference does, or in half precision where that is fast."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d3s_vot.model import Model

PRESETS = ("exact", "fast")

log = logging.getLogger(__name__)


def make_fast(model: Model) -> None:
    """Put half-precision networks in the place of a new model's: by autocast on a GPU, compiled ones on a CPU.

    What is learnt online stays in torch and float32, and so does what the model does beside its `networks`.

    Raises:
        InputError: OpenVINO is not installed, or cannot compile for this processor.
    """
    if model.device.type != "cpu":
        from d3s_vot.compute.half import Half

        model.networks = {name: Half(network, model.device) for name, network in model.networks.items()}
        return
    from d3s_vot.compute.openvino import Compiled

    log.info("compiling the networks for the preset fast, which takes some seconds")
    examples = model.examples()
    model.networks = {name: Compiled(name, network, examples[name]) for name, network in model.networks.items()}
