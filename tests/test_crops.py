"""The samplers against the golden crops and patches, and the way back to the image."""

import numpy as np
import pytest
import torch

from d3s_vot.crops import Crop, image_tensor, localization_patch


def test_golden_segmentation_crops(golden):
    g = golden("geometry.npz")
    for (x, y, w, h), expected, scale in zip(g["boxes"], g["crop_every_3rd"], g["crop_scale"], strict=True):
        crop = Crop.around((x + w / 2, y + h / 2), (w, h), 4.0, 384)
        assert crop.factor == pytest.approx(scale)
        assert np.array_equal(crop.cut(g["image"])[::3, ::3], expected)


def test_golden_localization_patches(golden):
    g = golden("geometry.npz")
    image = image_tensor(g["image"], torch.device("cpu"))
    for position, scale, expected in zip(g["positions_yx"], g["scales"], g["patch_every_4th"], strict=True):
        patch = localization_patch(image, tuple(position), scale, 256)
        ours = patch[0].permute(1, 2, 0).numpy()[::4, ::4]
        assert np.abs(ours - expected).max() <= 1e-4
