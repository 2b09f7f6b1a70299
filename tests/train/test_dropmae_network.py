"""The network of DropMAE and its dropout against the golden files, and what they must never do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ostrack_golden import enlarged, filled, relative

from d3s_vot.compute.arithmetic import exact
from d3s_vot.trunks.vit import ViTSize, sine_positions
from train.tasks.dropmae_dropout import drop_count, drop_weights, dropped, within_frames
from train.tasks.dropmae_network import DropMAENetwork, DropMAESize, cut_patches, join_patches, normalised_patches

TOLERANCE = 1e-5
SMALL = DropMAESize(ViTSize(64, 2, 1), ViTSize(32, 2, 2), 4)


@pytest.fixture(scope="module")
def values(golden):
    return golden("ostrack_dropmae.npz")


def test_golden_forward_pass(values, shared):
    with torch.device("meta"):
        network = DropMAENetwork.on("vit-base")
    state = filled(shared, values["names"])
    shapes, theirs = ({name: tuple(t.shape) for name, t in s.items()} for s in (network.state_dict(), state))
    assert shapes == theirs and len(shapes) == 257
    for name, width in (("pos_embed", 768), ("decoder_pos_embed", 512)):
        state[name] = torch.cat([torch.zeros(1, 1, width), sine_positions(width, 14)], dim=1)
    network.load_state_dict(state, assign=True)
    with exact(), torch.no_grad():
        found = network.eval()(
            enlarged(values["x_small"]), enlarged(values["z_small"]), torch.from_numpy(values["noise"])[None]
        )
    assert found.masked[0].tolist() == values["mask"].tolist()
    assert relative(found.latent[0, :, ::32], values["latent_sample"]) < TOLERANCE
    assert relative(found.patches[0, ::4, ::32], values["pred_sample"]) < TOLERANCE
    assert float(found.loss[0]) == pytest.approx(float(values["loss"]), rel=TOLERANCE)


def test_golden_positions(values):
    for width, step in ((768, 24), (512, 16)):
        table = torch.cat([torch.zeros(1, width), sine_positions(width, 14)[0]])
        assert np.abs(table[::7, ::step].numpy() - values[f"sincos_{width}"]).max() < 1e-6


def test_golden_dropout(values):
    scores = torch.from_numpy(values["attention_logits_small"])
    weights = drop_weights(scores)
    assert relative(weights, values["drop_weights_small"]) < TOLERANCE
    count = drop_count(24, 0.25)
    assert (count, drop_count(392, 0.1)) == (int(values["drop_count_small"]), int(values["drop_count_full"]))
    largest = weights.flatten(1).topk(count).indices
    chosen = torch.zeros(3, 24 * 12, dtype=torch.bool).scatter(1, largest, True).view(3, 24, 12)
    expected = np.unpackbits(values["dropped_topk_small"], axis=-1).astype(bool)
    assert np.array_equal(within_frames(chosen).numpy(), expected)


def test_what_is_dropped_is_of_the_own_frame_and_never_the_query_itself():
    scores = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    gone = dropped(scores, 0.25, torch.Generator().manual_seed(1))
    assert (gone.sum(dim=(2, 3)) == drop_count(24, 0.25)).all()
    assert not gone[..., :12, 12:].any() and not gone[..., 12:, :12].any()
    assert not gone.diagonal(dim1=2, dim2=3).any()
    again = dropped(scores, 0.25, torch.Generator().manual_seed(1))
    assert torch.equal(gone, again)
    assert not torch.equal(gone, dropped(scores, 0.25, torch.Generator().manual_seed(2)))


def test_a_query_with_a_match_in_the_other_frame_loses_more():
    scores = torch.zeros(1, 1, 24, 24)
    scores[..., 3, 20] = 6.0
    lost = sum(dropped(scores, 0.25, torch.Generator().manual_seed(n))[0, 0].sum(dim=1) for n in range(20))
    others = torch.cat([lost[:3], lost[4:]]).float()
    assert lost[3] > 1.5 * others.mean() and lost[3] > others.max()


def test_patches_go_there_and_back():
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    patches = cut_patches(images)
    assert torch.equal(join_patches(patches), images)
    assert torch.equal(patches[0, 5].view(16, 16, 3), images[0, :, 16:32, 16:32].permute(1, 2, 0))
    normal = normalised_patches(patches)
    assert normal.mean(dim=2).abs().max() < 1e-5 and (normal.var(dim=2) - 1).abs().max() < 1e-3


def test_what_is_masked_is_not_seen():
    torch.manual_seed(0)
    network = DropMAENetwork(SMALL).eval()
    x, z = 255 * torch.rand(2, 1, 3, 64, 64)
    noise = torch.rand(1, 32)
    first = network(x, z, noise)
    hidden = first.masked[:, :16].view(1, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3) > 0
    second = network(torch.where(hidden, 255 - x, x), z, noise)
    assert torch.equal(first.patches, second.patches) and first.masked.sum() == 24
    assert not torch.equal(first.loss, second.loss)


def test_the_order_of_the_frames_is_told():
    torch.manual_seed(0)
    network = DropMAENetwork(SMALL).eval()
    x, z = 255 * torch.rand(2, 1, 3, 64, 64)
    noise = torch.rand(1, 32)
    there, back = network(x, z, noise), network(z, x, noise.roll(16, dims=1))
    assert (there.patches - back.patches.roll(16, dims=1)).abs().max() > 1e-3


def test_dropout_is_the_generators_alone():
    torch.manual_seed(0)
    network = DropMAENetwork(SMALL)
    x, z = 255 * torch.rand(2, 2, 3, 64, 64)
    noise = torch.rand(2, 32)
    one, same, other, none = (
        network(x, z, noise, generator)
        for generator in (*(torch.Generator().manual_seed(n) for n in (0, 0, 1)), None)
    )
    assert torch.equal(one.patches, same.patches)
    assert not torch.equal(one.patches, other.patches) and not torch.equal(one.patches, none.patches)
