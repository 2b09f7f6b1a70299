"""The networks of SiamFC++ against the golden forward passes, and their shapes."""

from __future__ import annotations

import pytest
import torch
from siamfcpp_golden import KINDS, load, make_network, net_state, random_network, relative

from d3s_vot.trackers.siamfcpp.config import SiamFCppConfig
from d3s_vot.trackers.siamfcpp.network import SiamFCppNetwork, correlate, read_architecture


def rgb(image):
    """B x 3 x H x W of a golden picture, which is BGR."""
    return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()


def taps(module, names):
    """A dictionary that fills with the outputs of these parts when the module runs."""
    found = {}
    for name in names:
        module.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: found.update({name: out[0]}))
    return found


def sampled(tensor, channels=8, pixels=3):
    """Every so many channels, rows and columns of 1 x C x H x W."""
    return tensor[0, ::channels, ::pixels, ::pixels]


@pytest.mark.parametrize("kind", KINDS)
def test_golden_forward_pass(kind, golden, shared):
    net = golden("siamfcpp_net.npz")
    config = SiamFCppConfig.of_trunk(kind)
    network = load(make_network(kind), net_state(kind, shared, net))
    stages = [name.rpartition("/")[2] for name in net if name.startswith(f"{kind}/tap/")]
    assert bool(stages) == (kind in ("alexnet", "googlenet"))

    fz = network.basemodel(rgb(net["z"]))
    kernels = network.encode_template(rgb(net["z"]))
    seen = taps(network.basemodel, stages)
    fx = network.basemodel(rgb(net["x"]))
    features = network.encode_search(rgb(net["x"]))
    tower = taps(network.head, [f"cls_p5_conv{config.head_convolutions}"])
    correlated = [correlate(x, z) for x, z in zip(features, kernels, strict=True)]
    cls_logit, ctr_logit = network.head.classify(correlated[0])
    (c_head,) = tower.values()
    box_raw = network.head.bbox_offsets_p5(network.head._tower("bbox", correlated[1]))

    for name in stages:
        assert relative(seen[name][::16, ::9, ::9], net[f"{kind}/tap/{name}"]) < 1e-4, name
    whole = kind in ("alexnet", "googlenet")
    for name, tensor in (("fz", fz), ("c_z", kernels[0]), ("r_z", kernels[1])):
        if f"{kind}/{name}" in net:
            assert relative(tensor[0] if whole else sampled(tensor), net[f"{kind}/{name}"]) < 1e-4, name
    for name, tensor in (
        ("fx", fx),
        ("c_x", features[0]),
        ("r_x", features[1]),
        ("c_corr", correlated[0]),
        ("r_corr", correlated[1]),
        ("c_head", c_head[None]),
    ):
        assert relative(sampled(tensor), net[f"{kind}/{name}"]) < 1e-4, name
    for name, tensor in (("cls_logit", cls_logit), ("ctr_logit", ctr_logit), ("box_raw", box_raw)):
        assert relative(tensor[0], net[f"{kind}/{name}"]) < 1e-4, name
    assert relative(network.score(features[0], kernels[0]), net[f"{kind}/score"]) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_follow_from_the_configuration(kind):
    for size in (303, 335):
        config = SiamFCppConfig.of_trunk(kind, search_size=size)
        network = SiamFCppNetwork(kind, config).eval()
        with torch.inference_mode():
            c_z, r_z = network.encode_template(torch.zeros(1, 3, 127, 127))
            c_x, r_x = network.encode_search(torch.zeros(2, 3, size, size))
            pairs = (c_x, c_z.expand(2, -1, -1, -1)), (r_x, r_z.expand(2, -1, -1, -1))
            n = config.score_size
            assert network.score(*pairs[0]).shape == (2, n, n)
            assert network.distances(*pairs[1]).shape == (2, 4, n, n)


@pytest.mark.parametrize(
    ("kind", "entries", "millions"),
    [
        ("alexnet", 108, 9.66),
        ("googlenet", 486, 13.89),
        ("shufflenetv2x0_5", 409, 6.14),
        ("shufflenetv2x1_0", 409, 6.89),
        ("tinyconv", 108, 0.42),
    ],
)
def test_state_dicts_are_as_large_as_published(kind, entries, millions):
    network = make_network(kind)
    assert len(network.state_dict()) == entries
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", [1, 0])
def test_the_architecture_is_read_from_the_names(kind, norm):
    config = SiamFCppConfig(head_convolutions=2, head_batch_norm=norm)
    assert read_architecture(SiamFCppNetwork(kind, config).state_dict()) == (kind, config)


def test_the_correlation_is_depth_wise_and_not_flipped():
    search, kernels = torch.rand(2, 5, 7, 7), torch.rand(2, 5, 3, 3)
    found = correlate(search, kernels)
    expected = (search[1, 4, 2:5, 1:4] * kernels[1, 4]).sum()
    assert found.shape == (2, 5, 5, 5)
    assert torch.isclose(found[1, 4, 2, 1], expected)


def test_frozen_networks_compute_the_same():
    for kind in KINDS:
        network = random_network(kind).double()  # beyond rounding
        image = torch.randint(0, 256, (1, 3, 127, 127), generator=torch.Generator().manual_seed(1)).double()
        before = network.encode_template(image)
        after = network.freeze().encode_template(image)
        assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
        assert all(relative(a, b.numpy()) < 1e-10 for a, b in zip(after, before, strict=True))


def test_training_reaches_every_parameter():
    network = make_network("tinyconv")
    c_z, r_z = network.encode_template(255 * torch.rand(2, 3, 127, 127))
    c_x, r_x = network.encode_search(255 * torch.rand(2, 3, 303, 303))
    (network.score(c_x, c_z).square().mean() + network.distances(r_x, r_z).log().square().mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
