"""The networks of OSTrack and DropTrack against the golden forward passes, layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ostrack_golden import enlarged, filled, make_network, random_network, relative

from d3s_vot.compute.arithmetic import exact
from d3s_vot.trackers.ostrack import network as module
from d3s_vot.trackers.ostrack.config import OSTrackConfig
from d3s_vot.trackers.ostrack.locate import decode, hann_window
from d3s_vot.trackers.ostrack.published import CONFIGURATIONS

FILES = {
    "net256": "OSTrack-vitb_256_mae_ce_32x4_ep300",
    "net384": "OSTrack-vitb_384_mae_ce_32x4_ep300",
    "droptrack384": "DropTrack-vitb_384_mae_ce_32x4_ep300",
    "net256_noce": "OSTrack-vitb_256_mae_32x4_ep300",
}
TOLERANCE = 1e-5


@pytest.mark.parametrize("file", FILES)
def test_golden_forward_pass(file, golden, shared, monkeypatch):
    values = golden(f"ostrack_{file}.npz")
    names = golden("ostrack_net256.npz" if file == "net256_noce" else f"ostrack_{file}.npz")["names"]
    config = CONFIGURATIONS[FILES[file]].config
    network = make_network(config, filled(shared, names))
    tokens, features, cuts = record(network, monkeypatch)
    with exact():
        template = network.backbone.embed_template(enlarged(values["template_small"]))
        maps = network(enlarged(values["search_small"]), template)[0].numpy()

    count = config.template_side**2
    mean_std = [[float(x.mean()), float(x.std())] for x in tokens[1:]]
    assert len(tokens) == 13
    assert np.abs(np.array(mean_std) - values["block_mean_std"]).max() < 1e-4 * np.abs(values["block_mean_std"]).max()
    if "tokens_in" in values:
        assert relative(tokens[0][:, ::64], values["tokens_in"]) < TOLERANCE
        early = torch.stack([tokens[n][::8, ::48] for n in (1, 2, 3)])
        assert relative(early, values["block_sample"]) < TOLERANCE
        templates = torch.stack([x[:count:8, ::48] for x in tokens[1:]])
        assert relative(templates, values["block_template_out"]) < TOLERANCE
        assert relative(features["search"][:, ::64], values["feature_sample"]) < TOLERANCE
        template_out = features["normed"][:count:4, ::64]
        assert relative(template_out, values["template_feature_sample"]) < TOLERANCE
        check_cuts(cuts, values, config.search_side**2)
        gone = (features["search"] == 0).all(dim=1).nonzero()[:, 0]
        assert sorted(gone.tolist()) == sorted(values["removed"].tolist())
    else:
        assert not cuts
    for mine, theirs in ((maps[0], "score_map"), (maps[1:3], "size_map"), (maps[3:], "offset_map")):
        assert relative(mine, values[theirs]) < TOLERANCE
    assert np.abs(decode(maps).box - values["box_raw"]).max() < TOLERANCE
    found = decode(maps, hann_window(config.search_side))
    assert np.abs(found.box - values["box_windowed"]).max() < TOLERANCE
    if "score_windowed" in values:
        assert found.windowed == pytest.approx(float(values["score_windowed"][0]), abs=TOLERANCE)

    # Batch norm folded into the convolutions, as the tracker has it.
    with exact():
        folded = network.freeze()(enlarged(values["search_small"]), template)[0].numpy()
    assert relative(folded[0], values["score_map"]) < TOLERANCE


def record(network, monkeypatch):
    """What goes through a network: tokens before every block and after the last, features, cuts of the candidates."""
    tokens, features, cuts = [], {}, []
    blocks = network.backbone.blocks
    for block in blocks:
        block.norm1.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0][0]))
    network.backbone.norm.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0][0]))
    network.backbone.norm.register_forward_hook(lambda _, __, out: features.update(normed=out[0]))
    network.backbone.register_forward_hook(lambda _, __, out: features.update(search=out[0]))
    strongest = module.strongest

    def recorded(importance, count):
        stay = strongest(importance, count)
        cuts.append((importance[0].clone(), stay[0].clone()))
        return stay

    monkeypatch.setattr(module, "strongest", recorded)
    return tokens, features, cuts


def check_cuts(cuts, values, candidates):
    """Every elimination: importance of each token by its index, and the sets that stay."""
    left = np.arange(candidates)
    for number, (importance, stay) in enumerate(cuts):
        theirs = dict(zip(values[f"ce{number}_candidates"], values[f"ce{number}_score"], strict=True))
        assert sorted(theirs) == left.tolist()
        assert relative(importance, np.array([theirs[index] for index in left])) < TOLERANCE
        left = left[stay.numpy()]
        assert left.tolist() == values[f"ce{number}_kept"].tolist()
    assert len(cuts) == 3


@pytest.mark.parametrize("keep_ratio", [0.7, 1.0])
def test_items_of_a_batch_are_as_each_alone(keep_ratio):
    network = random_network(keep_ratio=keep_ratio)
    images = 255 * torch.rand(3, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    templates = network.backbone.embed_template(images[..., :64, :64])
    together = network(images, templates)
    alone = torch.cat([network(images[n : n + 1], templates[n : n + 1]) for n in range(3)])
    assert (together - alone).abs().max() < 1e-5
    assert together.shape == (3, 5, 8, 8)


def test_without_elimination_every_token_is_kept():
    images = 255 * torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    features = {}
    for ratio in (0.5, 1.0):
        network = random_network(keep_ratio=ratio).backbone
        features[ratio] = network(network.embed_template(images[..., :64, :64]), network.embed_search(images))[0]
    kept = {ratio: int((x != 0).any(dim=1).sum()) for ratio, x in features.items()}
    assert kept == {0.5: 8, 1.0: 64}


def test_a_template_is_of_its_frame_alone_and_of_droptrack_told_apart():
    images = 255 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    plain, temporal = random_network(), random_network(temporal=1)
    assert torch.equal(plain.backbone.embed_template(images), plain.backbone.embed_template(images))
    backbone = temporal.backbone
    without = backbone.patch_embed(backbone.normalise(images)) + backbone.pos_embed_z
    assert torch.equal(backbone.embed_template(images), without + backbone.temporal_pos_embed_z)
    assert not torch.equal(backbone.temporal_pos_embed_z, backbone.temporal_pos_embed_x)


def test_published_configurations_keep_the_published_numbers_of_tokens():
    assert list(OSTrackConfig(search_size=384, template_size=192).kept.values()) == [404, 283, 199]
    assert OSTrackConfig(keep_ratio=1).kept == {}
