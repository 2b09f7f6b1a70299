"""The samples of ATOM and DiMP: where they lie, and what they show."""

import math

import numpy as np
import pytest
import torch
from dimp_golden import picture

from d3s_vot.crops.patches import sample_window
from d3s_vot.crops.squares import image_tensor
from d3s_vot.errors import InputError


def test_golden_samples(golden):
    g = golden("dimp_crops.npz")
    image = image_tensor(picture(240, 320, 0), torch.device("cpu"))
    for i, mode in enumerate(g["mode"]):
        inside = "" if mode == "replicate" else str(mode)
        limit = g["max_scale_change"][i]
        size = int(g["size"][i])
        window = sample_window(
            (240, 320), tuple(g["position_yx"][i]), float(g["scale"][i]), size,
            inside=inside, limit=math.inf if np.isnan(limit) else float(limit),
        )  # fmt: skip
        places = window.step * np.array([*window.first_yx, *window.end_yx])
        assert np.array_equal(places, g["coords_tlbr"][i]), i
        patch = window.cut(image, size)[0, :, ::16, ::16].numpy()
        assert np.abs(patch - g[f"patch_{i}"]).max() < 1e-3, i


def test_a_sample_says_where_it_lies():
    """The middle of what it shows, and its pixels per pixel."""
    image = torch.arange(200.0)[None, None, None].expand(1, 3, 100, 200).to(torch.uint8)
    for scale in (0.4, 1.0, 1.7):
        window = sample_window((100, 200), (50.6, 80.2), scale, 32)
        patch = window.cut(image, 32)
        middle = patch[0, 0, 0, 15:17].mean().item()
        assert middle == pytest.approx(window.position_yx[1], abs=1e-3)
        assert (patch[0, 0, 0, 20] - patch[0, 0, 0, 10]).item() / 10 == pytest.approx(window.scale(32), rel=1e-3)


def test_a_sample_inside_shows_no_border_where_it_need_not():
    window = sample_window((100, 200), (5, 195), 3.0, 32, inside="inside")
    assert window.step == 2
    assert window.first_yx == (0, 100 - 48) and window.end_yx == (48, 100)
    window = sample_window((100, 200), (5, 195), 6.25, 32, inside="inside_major")
    assert window.step == 6
    assert window.first_yx[1] + window.end_yx[1] == pytest.approx(200 / 6, abs=1)  # as wide as the image
    assert window.first_yx[0] + window.end_yx[0] == pytest.approx(100 / 6, abs=1)  # in its middle


@pytest.mark.parametrize("scale", [0, -1, math.nan, math.inf])
def test_no_sample_has_such_a_scale(scale):
    with pytest.raises(InputError, match="scale"):
        sample_window((100, 200), (50, 50), scale, 32)
