"""DropSeg against its golden file: tokens, pyramid, probabilities, labels of a video with two objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dropseg_golden import golden_network
from ostrack_golden import relative

from d3s_vot import Tracker
from d3s_vot.compute.arithmetic import exact
from d3s_vot.evaluation.davis.tracking import ObjectTrackers
from d3s_vot.images import read_image
from d3s_vot.trackers.dropseg.config import DropSegConfig
from d3s_vot.trackers.dropseg.model import DropSegModel
from d3s_vot.trackers.dropseg.network import DropSegNetwork
from d3s_vot.trackers.dropseg.views import View, aggregate
from d3s_vot.trunks.vit import resize_positions

PICTURES = ("00000", "00010", "00040", "00081")


@pytest.fixture(scope="module")
def values(golden):
    return golden("dropseg_eval.npz")


def test_golden_video(values, shared, monkeypatch):
    """Two objects as DAVIS has them; each passes the network alone, and their maps are joined."""
    folder = shared / "data/train/video_clips/images/davis_bear"
    images = [read_image(folder / f"{name}.jpg") for name in PICTURES]
    masks = np.unpackbits(values["labels_first"], axis=-1)[..., :427].astype(bool)  # 2 x 240 x 427
    labels = masks[0] + 2 * masks[1].astype(np.uint8)
    assert np.array_equal(labels, values["labels"][0])
    model = DropSegModel(golden_network(shared, values), DropSegConfig(), torch.device("cpu"))
    alone, share = [], type(model).share

    def recorded(self, claims):
        alone.append(torch.stack([probability for probability, *_ in claims]))
        return share(self, claims)

    monkeypatch.setattr(DropSegModel, "share", recorded)
    tokens = []
    model.networks["query"].norm.register_forward_hook(lambda _, __, out: tokens.append(out))
    objects = ObjectTrackers(Tracker(model), images[0], labels)
    for number, image in enumerate(images[1:], start=1):
        found = objects.track(image)
        assert (found != values["labels"][number]).sum() <= 20
    probabilities = torch.stack(alone)  # pictures x objects x 240 x 432
    difference = np.abs(probabilities[..., ::8, ::8].numpy() - values["object_probability_every_8th"])
    assert difference.max() < 1e-4

    view = View.of((240, 427), 480)
    assert [view.left, view.right, view.top, view.bottom] == values["pad"].tolist()
    first = view.mask(torch.from_numpy(masks).float()[:, None])[:, 0]
    joined = torch.stack([aggregate(maps) for maps in (first, *probabilities)], dim=1)
    assert np.abs(joined[..., ::8, ::8].numpy() - values["probability_every_8th"]).max() < 1e-4
    large = view.back(joined[:, 1], (480, 854)).argmax(dim=0)[::4, ::4]
    assert (large.numpy() != values["labels_480x854_frame1_every_4th"]).sum() <= 20

    assert relative(tokens[0][0, ::9, ::48], values["tokens_sample"]) < 1e-5
    with exact(), torch.no_grad():
        m16, m8, m4 = model.networks["query"].pyramid(tokens[0], view.grid_hw)
    assert relative(m16[0, ::24, ::3, ::3], values["m16_sample"]) < 1e-5
    assert relative(m8[0, ::32, ::5, ::5], values["m8_sample"]) < 1e-5
    assert relative(m4[0, ::32, ::9, ::9], values["m4_sample"]) < 1e-5


def test_golden_aggregation(values):
    found = aggregate(torch.from_numpy(values["aggregate_in"]))
    assert np.abs(found.numpy() - values["aggregate_out"]).max() < 1e-6


def test_golden_padding(values):
    for height, width, *padding in values["padding_h_w_left_right_top_bottom"].tolist():
        view = View.of((height, width), max(height, width))
        assert [view.left, view.right, view.top, view.bottom] == padding


def test_golden_positions(values):
    given = torch.from_numpy(np.random.RandomState(9).normal(0, 1, (1, 1153, 768)).astype(np.float32))
    with torch.device("meta"):
        network = DropSegNetwork(DropSegConfig(depth=1, decoder_width=8))
    network.pos_embed_two_frame = given
    grid = network.positions((15, 27))
    table = torch.cat([given[:, :1], grid, grid], dim=1)[0, ::3, ::96]
    assert np.abs(table.numpy() - values["position_15x27"]).max() < 1e-5
    given = torch.from_numpy(np.random.RandomState(9).normal(0, 1, (1, 197, 768)).astype(np.float32))
    grid = resize_positions(given[:, 1:], (24, 24))
    table = torch.cat([given[:, :1], grid, grid], dim=1)[0, ::5, ::96]
    assert np.abs(table.numpy() - values["position_24x24_from_14x14"]).max() < 1e-5
