"""The trained part of D3S against the golden forward pass."""

import numpy as np
import pytest
import torch
import torchvision
from synthetic import fill_state

from d3s_vot.trackers.d3s.network import SegmentationNetwork, location_channel
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS


def relative(a: torch.Tensor, b: np.ndarray) -> float:
    a = a.numpy().astype(np.float64).reshape(b.shape)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


@pytest.fixture(scope="module")
def published_resnet50():
    resnet = torchvision.models.resnet50(weights=None)
    trunk = create_trunk("resnet50", state=fill_state(resnet.state_dict(), "feature_extractor."))
    network = SegmentationNetwork(CHANNELS["resnet50"]).eval().requires_grad_(False)
    network.load_state_dict(fill_state(network.state_dict(), "segm_predictor."))
    return trunk, network


def test_golden_forward_pass(golden, published_resnet50):
    g = golden("network.npz")
    trunk, network = published_resnet50

    def tensor(image):
        return torch.from_numpy(image).permute(2, 0, 1)[None]

    search = trunk(tensor(g["search_image"]))
    mask = torch.from_numpy(g["template_mask"]).float()[None, None]
    template = network.encode_template(trunk(tensor(g["template_image"])), mask)
    distance = torch.from_numpy(g["distance"])[None, None]
    target, background = network.similarity(network.embed(search), template)
    assert relative(search[16][0, :16], g["layer3_sample"]) < 1e-5
    means = np.array([search[s].double().mean().item() for s in (2, 4, 8, 16)])
    assert np.allclose(means, g["conv1_mean"], rtol=1e-5)
    assert relative(target[0], g["similarity_target"]) < 1e-5
    assert relative(background[0], g["similarity_background"]) < 1e-5
    assert relative(network(search, template, distance)[0], g["logits"]) < 1e-4


def test_location_channel_is_the_golden_distance(golden):
    distance = golden("network.npz")["distance"]
    assert np.allclose(location_channel(torch.tensor([[192.0, 192.0]]))[0, 0].numpy(), distance, atol=1e-4)


def test_batch_and_single_agree(published_resnet50):
    _, network = published_resnet50
    rng = torch.Generator().manual_seed(0)
    features = {
        s: torch.rand(2, c, 384 // s, 384 // s, generator=rng)
        for s, c in zip((2, 4, 8, 16), CHANNELS["resnet50"], strict=True)
    }
    mask = (torch.rand(2, 1, 384, 384, generator=rng) > 0.5).float()
    location = location_channel(torch.tensor([[192.0, 192.0], [100.0, 250.0]]))
    both = network(features, network.encode_template(features, mask), location)
    assert both.shape == (2, 2, 384, 384)
    one = {s: f[1:] for s, f in features.items()}
    alone = network(one, network.encode_template(one, mask[1:]), location[1:])
    assert relative(both[1:], alone.numpy()) < 1e-5


def test_training_reaches_every_parameter():
    network = SegmentationNetwork(CHANNELS["efficientnet_lite0"])
    features = {s: torch.rand(2, c, 96 // s, 96 // s) for s, c in zip((2, 4, 8, 16), network_channels(), strict=True)}
    mask = torch.zeros(2, 1, 96, 96)
    mask[..., 20:70, 20:70] = 1
    location = location_channel(torch.full((2, 2), 48.0), size=96)
    network(features, network.encode_template(features, mask), location).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def network_channels():
    return CHANNELS["efficientnet_lite0"]
