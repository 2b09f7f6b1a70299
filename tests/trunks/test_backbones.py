"""Trunks: shapes, folded batch norm, weights by path, refusals."""

import pickle

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from synthetic import fill_state

from d3s_vot.errors import CheckpointError
from d3s_vot.trunks.create import create_trunk
from d3s_vot.trunks.trunk import CHANNELS


def resnet_state(name: str) -> dict[str, torch.Tensor]:
    return fill_state(getattr(torchvision.models, name)(weights=None).state_dict(), "x.")


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_features_have_the_promised_shapes(name):
    packaged = name.startswith("efficientnet")
    trunk = create_trunk(name, state=None if packaged else resnet_state(name.removesuffix("_caffe")))
    with torch.inference_mode():
        features = trunk(torch.zeros(2, 3, 64, 96, dtype=torch.uint8))
    assert [tuple(features[s].shape) for s in (2, 4, 8, 16)] == [
        (2, c, 64 // s, 96 // s) for s, c in zip((2, 4, 8, 16), CHANNELS[name], strict=True)
    ]
    assert not any(p.requires_grad for p in trunk.parameters())
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in trunk.modules())


def test_folded_resnet_equals_torchvision():
    state = resnet_state("resnet18")
    reference = torchvision.models.resnet18(weights=None).eval()
    reference.load_state_dict(state)
    image = torch.randint(0, 256, (1, 3, 96, 96), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        x = reference.maxpool(reference.relu(reference.bn1(reference.conv1((image / 255 - mean) / std))))
        expected = reference.layer3(reference.layer2(reference.layer1(x)))
        ours = create_trunk("resnet18", state=state)(image)[16]
    assert (ours - expected).norm() / expected.norm() < 1e-5


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_efficientnet_equals_its_package_on_even_maps(name):
    """The package pads for the size it was built for, so it is built for ours: 128 is even at every stride."""
    from efficientnet_lite_pytorch import EfficientNet

    from d3s_vot.trunks.efficientnet_lite import efficientnet_file

    reference = EfficientNet.from_name(name.replace("_", "-"), image_size=128).eval()
    reference.load_state_dict(torch.load(efficientnet_file(name), weights_only=True))
    image = torch.randint(0, 256, (1, 3, 128, 128), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    with torch.inference_mode():
        x = reference._swish(reference._bn0(reference._conv_stem((image - 127.0) / 128.0)))
        for block in reference._blocks:
            if block._depthwise_conv.stride[0] == 2 and x.shape[-1] == 8:
                break
            x = block(x)
        ours = create_trunk(name)(image)[16]
    assert ours.shape == x.shape
    assert (ours - x).norm() / x.norm() < 1e-5


def test_weights_by_path_in_both_formats(tmp_path):
    state = resnet_state("resnet18")
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "a.pth")
    image = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    a, b = (create_trunk("resnet18", tmp_path / f"a.{end}")(image)[16] for end in ("safetensors", "pth"))
    assert torch.equal(a, b)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_trunk_as_training_programs_save_it(tmp_path, zipped):
    """Beside other things, and with the names of a network on several GPUs."""
    state = {f"module.{name}": tensor for name, tensor in resnet_state("resnet18").items()}
    content = {"epoch": 90, "arch": "resnet18", "state_dict": state}
    torch.save(content, tmp_path / "a.pth.tar", _use_new_zipfile_serialization=zipped)
    image = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    plain, theirs = (
        create_trunk("resnet18", state=resnet_state("resnet18")),
        create_trunk("resnet18", tmp_path / "a.pth.tar"),
    )
    assert torch.equal(plain(image)[16], theirs(image)[16])


def test_shared_trunks_load(shared):
    for name, file in (("resnet18", "resnet18_trunk"), ("resnet50_caffe", "resnet50_caffe_trunk")):
        trunk = create_trunk(name, shared / "weights" / f"{file}.safetensors")
        assert trunk(torch.full((1, 3, 32, 32), 90, dtype=torch.uint8))[16].std() > 0.01


class _Evil:
    def __reduce__(self):
        return eval, ("1/0",)


def test_bad_trunk_files_are_refused(tmp_path):
    state = resnet_state("resnet18")
    lacking = {k: v for k, v in state.items() if k != "layer1.0.conv1.weight"}
    save_file(lacking, tmp_path / "lacking.safetensors")
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Evil()))
    for name in ("lacking.safetensors", "text.safetensors", "text.pth", "evil.pth", "missing.pth"):
        with pytest.raises(CheckpointError):
            create_trunk("resnet18", tmp_path / name)
    with pytest.raises(CheckpointError, match="wrong shape"):
        create_trunk("resnet34", state=resnet_state("resnet34") | {"conv1.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(CheckpointError, match="no trunk"):
        create_trunk("vgg16")
    with pytest.raises(CheckpointError, match="path"):
        create_trunk("resnet50_caffe")
