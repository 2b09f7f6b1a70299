"""The vision transformer: fused and explicit attention are the same, and its parts do what they say."""

from __future__ import annotations

import math

import pytest
import torch

from d3s_vot.trunks.vit import (
    SIZES,
    Attention,
    Block,
    Normalise,
    PatchEmbedding,
    ViTSize,
    resize_positions,
    sine_positions,
)


def tokens(width: int, length: int = 50, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, length, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_fused_and_explicit_attention_are_equal(size: ViTSize) -> None:
    attention, x = Attention(size.width, size.heads).eval(), tokens(size.width)
    fused, explicit = attention(x), attention(x, lambda scores: scores)
    assert (fused - explicit).abs().max() < 1e-5
    with_row, looks = attention.with_row(x, 7)
    assert (with_row - explicit).abs().max() < 1e-5
    q, k, _ = attention.split(x)
    whole = (q @ k.transpose(-2, -1) * 64**-0.5).softmax(dim=-1).mean(dim=1)  # B x L x L
    assert (looks - whole[:, 7]).abs().max() < 1e-5
    assert torch.allclose(looks.sum(dim=1), torch.ones(2))


def test_scores_are_changed_before_the_softmax() -> None:
    attention, x = Attention(64, 1).eval(), tokens(64)
    alone = attention(x, lambda scores: scores.masked_fill(~torch.eye(50, dtype=torch.bool), -torch.inf))
    assert (alone - attention.proj(attention.qkv(x)[..., 128:])).abs().max() < 1e-5


def test_heads_are_told_apart() -> None:
    x = tokens(128)
    attention = Attention(128, 2).eval()
    q, k, v = attention.split(x)
    assert q.shape == k.shape == v.shape == (2, 2, 50, 64)
    assert torch.equal(v[:, 1], attention.qkv(x)[..., 256 + 64 :])
    assert torch.equal(attention.join(v), attention.proj(attention.qkv(x)[..., 256:]))


def test_a_block_in_halves_is_the_block() -> None:
    block, x = Block(ViTSize(64, 1, 1)).eval(), tokens(64)
    first, _ = block.looking(x, 0)
    assert (block.feed(first) - block(x)).abs().max() < 1e-5


def test_paths_are_dropped_in_training_alone() -> None:
    block, x = Block(ViTSize(64, 1, 1), drop_path=0.999), tokens(64, batch=4)
    assert not torch.equal(block.eval()(x), x)
    torch.manual_seed(0)
    assert torch.equal(block.train()(x), x)


def test_tokens_go_row_by_row() -> None:
    embedding = PatchEmbedding(8)
    images = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    found = embedding(images)
    assert found.shape == (1, 6, 8)
    assert torch.allclose(found[:, 4], embedding(images[..., 16:, 16:32])[:, 0], atol=1e-6)


def test_colours_are_normalised_as_of_imagenet() -> None:
    found = Normalise()(torch.tensor([255 * 0.485, 0.0, 255.0]).view(1, 3, 1, 1)).flatten()
    assert found.tolist() == pytest.approx([0, -0.456 / 0.224, (1 - 0.406) / 0.225], abs=1e-6)


def test_positions_of_the_same_grid_are_left_alone() -> None:
    given = torch.rand(1, 196, 8)
    assert resize_positions(given, (14, 14)) is given
    assert resize_positions(given, (3, 5)).shape == (1, 15, 8)
    constant = resize_positions(torch.ones(1, 196, 8), (24, 20))
    assert torch.allclose(constant, torch.ones(1, 480, 8))


def test_sine_positions_say_column_and_row() -> None:
    found = sine_positions(64, 14)[0].view(14, 14, 64)
    assert (found[0, :, :32] == found[9, :, :32]).all()  # of a column, in every row
    assert (found[:, 0, 32:] == found[:, 9, 32:]).all()
    expected = [math.sin(5 * 10000 ** (-k / 16)) for k in range(16)]
    assert found[3, 5, :16].tolist() == pytest.approx(expected, abs=1e-5)
    assert len({tuple(row) for row in found.flatten(0, 1).tolist()}) == 196
