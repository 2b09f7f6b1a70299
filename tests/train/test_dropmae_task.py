"""Videos without labels, pairs of their frames, and the pre-training as a task of the loop."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from d3s_vot.errors import CheckpointError
from d3s_vot.trackers.ostrack.weights import constants
from d3s_vot.trunks.vit import SIZES, ViTSize
from d3s_vot.zoo import load_checkpoint, load_tracker
from train.__main__ import main
from train.config import SCHEDULES, PairConfig
from train.data.clip_pairs import ClipPairs, collate_clips, random_view
from train.data.clips import find_clips
from train.data.items import Source
from train.errors import DataError
from train.loop import STATE, WEIGHTS, Trainer
from train.schedule import rate
from train.tasks.dropmae import MaskedFrames
from train.tasks.dropmae_network import DECODERS
from train.tasks.names import task

SMALL = dataclasses.replace(
    SCHEDULES["dropmae"], iterations=4, epoch=4, batch=2, workers=0, log_every=1, validation_pairs=2, warmup=1,
    precision="float32", pairs=PairConfig(64, max_gap=9),
)  # fmt: skip


def frame(t: int, seed: int) -> np.ndarray:
    """A disc that moves over stripes."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[:, (np.arange(80) + seed * 7) % 16 < 8] = (40 * seed % 200, 90, 160)
    return cv2.circle(image, (10 + 3 * t, 20 + 2 * seed), 9, (250, 250 - 20 * seed, 30), -1)


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Of two blocks, in place of vit-tiny."""
    monkeypatch.setitem(SIZES, "vit-tiny", ViTSize(64, 2, 1))
    monkeypatch.setitem(DECODERS, "vit-tiny", ViTSize(32, 2, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two videos as folders of frames, one of them deeper, and one as a file."""
    root = tmp_path_factory.mktemp("clips")
    for seed, name in ((1, "one"), (2, "deep/two")):
        (root / name).mkdir(parents=True)
        for t in range(12):
            cv2.imwrite(str(root / name / f"{t:05d}.png"), frame(t, seed))
    writer = cv2.VideoWriter(str(root / "three.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (80, 60))
    for t in range(12):
        writer.write(frame(t, 3))
    writer.release()
    (root / "broken.mp4").write_bytes(b"no video")
    (root / "alone").mkdir()
    cv2.imwrite(str(root / "alone" / "1.png"), frame(0, 1))
    return root


@pytest.fixture(scope="module")
def clips(folder):
    return find_clips([Source("clips", folder)])


def test_folders_of_frames_and_files_are_videos(clips, folder):
    assert {(clip.group, clip.count, bool(clip.frames)) for clip in clips} == {
        ("one", 12, True), ("deep/two", 12, True), ("three", 12, False),
    }  # fmt: skip
    assert sum(clip.held_out for clip in clips) == 1
    assert clips == find_clips([Source("clips", folder)])
    for clip in clips:
        seed = {"one": 1, "deep/two": 2, "three": 3}[clip.group]
        for number, picture in zip((11, 4), clip.read([11, 4]), strict=True):
            away = [np.abs(picture[..., ::-1].astype(int) - frame(t, seed)).mean() for t in range(12)]
            assert np.argmin(away) == number and away[number] < (8 if clip.group == "three" else 1e-9)


def test_what_is_no_folder_of_videos_is_refused(folder, tmp_path):
    for source, message in (
        (Source("stills", folder), "give clips=DIR"),
        (Source("clips", tmp_path / "nowhere"), "no folder"),
        (Source("clips", tmp_path), "holds no video"),
        (Source("clips", folder / "one"), "add another"),
    ):
        with pytest.raises(DataError, match=message):
            find_clips([source])


def test_pairs_are_of_one_video_and_depend_on_seed_and_number_alone(clips):
    config = PairConfig(64, max_gap=3)
    one, again, other = (ClipPairs(clips, {"clips": 1.0}, config, seed, 50) for seed in (0, 0, 1))
    for number in range(4):
        a, b = one[number], again[number]
        assert np.array_equal(a.x, b.x) and np.array_equal(a.z, b.z) and np.array_equal(a.noise, b.noise)
        assert a.x.shape == (64, 64, 3) and a.noise.shape == (32,)
    assert not np.array_equal(one[0].x, other[0].x)
    batch = collate_clips([one[0], one[1]])
    assert batch["x"].shape == (2, 3, 64, 64) and batch["number"].tolist() == [0, 1]


def test_the_first_frame_is_the_earlier_one_and_not_far(clips, monkeypatch):
    asked = []
    monkeypatch.setattr(type(clips[0]), "read", lambda self, numbers: asked.append(numbers) or [frame(0, 1)] * 2)
    data = ClipPairs(clips, {"clips": 1.0}, PairConfig(64, max_gap=5), 0, 50)
    for number in range(50):
        data[number]
    assert {b - a for a, b in asked} == {1, 2, 3, 4, 5}
    assert all(0 <= a < b < 12 for a, b in asked)


def test_a_frame_that_cannot_be_read_is_replaced_by_another_pair(clips, monkeypatch):
    calls = []

    def fail_first(self, numbers):
        calls.append(numbers)
        if len(calls) == 1:
            raise DataError("picture x.png cannot be read; replace it")
        return [frame(0, 1)] * 2

    monkeypatch.setattr(type(clips[0]), "read", fail_first)
    assert ClipPairs(clips, {"clips": 1.0}, PairConfig(64), 0, 5)[0].skipped == 1

    def fail(self, numbers):
        raise DataError("picture x.png cannot be read; replace it")

    monkeypatch.setattr(type(clips[0]), "read", fail)
    with pytest.raises(DataError, match=r"x\.png cannot be read"):
        ClipPairs(clips, {"clips": 1.0}, PairConfig(64), 0, 5)[0]


def test_a_view_is_a_part_of_the_picture():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:180, :200].astype(np.uint8)
    image = np.stack([columns, rows, np.full_like(rows, 7)], axis=2)
    mirrored = 0
    for _ in range(40):
        view = random_view(rng, image, 32).astype(int)
        across, down = view[16, -1, 0] - view[16, 0, 0], view[-1, 16, 1] - view[0, 16, 1]
        mirrored += across < 0
        assert 0.6 < abs(across) / down < 1.6 and down > 25
    assert 10 < mirrored < 30
    assert random_view(rng, image[:2], 32).shape == (32, 32, 3)


def test_an_unlabelled_video_teaches_nothing_else(folder, tmp_path, capsys):
    assert main(["--data", f"clips={folder}", "--output", str(tmp_path / "run")]) == 2
    assert "only DropMAE" in capsys.readouterr().err


def test_the_schedules_are_the_published_one_and_a_small_one():
    published = SCHEDULES["dropmae-published"]
    assert published.batch == 4096 and published.learning_rate == pytest.approx(1.5e-4 * 16)
    assert published.iterations == 1600 * 240_000 // 4096 and published.weight_decay == 0.05
    assert rate(published, published.iterations) == 0 and rate(published, published.warmup) == 1
    assert published.pairs.size == 224 and published.pairs.max_gap == 49


@pytest.mark.parametrize(
    ("change", "message"), [({"trunk": "resnet50"}, "no encoder 'resnet50'"), ({"trunk": "vit-tiny"}, "random weights")]
)
def test_what_the_task_cannot_begin_with_is_refused(change, message):
    config = dataclasses.replace(SMALL, **change)
    with pytest.raises(CheckpointError, match=message):
        task("DropMAE")(config, torch.device("cpu"), Path("weights.pth"), 1)


def test_the_loss_leads_to_what_is_masked(clips):
    """The same two pairs again and again: the network learns them by heart, and only what is masked counts."""
    torch.manual_seed(0)
    learner = MaskedFrames.create(SMALL, torch.device("cpu"), None, 1).train()
    batch = collate_clips([ClipPairs(clips, {"clips": 1.0}, SMALL.pairs, 0, 2)[n] for n in (0, 1)])
    optimizer = torch.optim.AdamW(learner.parameter_groups(SMALL), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = learner.loss(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.75 * losses[0]
    assert learner.loss(batch).shape == (2,)
    assert torch.equal(learner.loss(batch), learner.loss(batch))  # what is dropped is the batch's


def test_training_shows_and_ends_in_weights_for_a_tracker(clips, tmp_path):
    trainer = Trainer(
        SMALL, clips, {"clips": 1.0}, tmp_path / "run", torch.device("cpu"), make=MaskedFrames.create
    )
    trainer.run()
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and 0.5 < float(rows[-1]["validation_error"]) < 1.5
    before, after = (cv2.imread(str(tmp_path / "run" / name)) for name in ("before.png", "pairs.png"))
    assert before.shape == after.shape == (2 * 112, 6 * 112, 3)
    assert (before[:, :112] == after[:, :112]).all() and (before != after).any()
    checkpoint = load_checkpoint(tmp_path / "run" / WEIGHTS)
    config = constants(checkpoint)
    assert (config.width, config.depth, config.temporal) == (64, 2, 1)
    assert checkpoint.provenance["head"].startswith("random")
    own = trainer.task.network.state_dict()
    assert torch.equal(checkpoint.tensors["backbone.blocks.1.attn.qkv.weight"], own["blocks.1.attn.qkv.weight"])
    assert load_tracker(tmp_path / "run" / WEIGHTS, "cpu").model.config == config


def test_killed_and_resumed_is_bit_equal_to_undisturbed(clips, tmp_path, monkeypatch):
    """Killed after a step whose state was not written: that step is done again."""
    config = dataclasses.replace(SMALL, iterations=6, log_every=2, checkpoint_minutes=0.0)

    def trainer(name):
        make = MaskedFrames.create
        return Trainer(config, clips, {"clips": 1.0}, tmp_path / name, torch.device("cpu"), make=make)

    trainer("whole").run()
    step = Trainer.step

    def step_and_die(self, batch):
        loss = step(self, batch)
        if self.iteration == 5:
            raise MemoryError
        return loss

    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Trainer, "step", step_and_die)
        trainer("killed").run()
    assert torch.load(tmp_path / "killed" / STATE, weights_only=True)["iteration"] == 4
    torch.rand(7)  # the numbers of the process play no part
    resumed = trainer("killed")
    resumed.resume()
    resumed.run()
    states = [torch.load(tmp_path / name / STATE, weights_only=True) for name in ("whole", "killed")]
    for part in ("task", "average"):
        first, second = (state[part] for state in states)
        assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    checksums = {load_checkpoint(tmp_path / name / WEIGHTS).checksum for name in ("whole", "killed")}
    assert len(checksums) == 1
    assert (tmp_path / "whole" / "pairs.png").read_bytes() == (tmp_path / "killed" / "pairs.png").read_bytes()


def test_the_command_trains_it(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SCHEDULES, "dropmae", SMALL)
    options = ["--data", f"clips={folder}", "--tracker", "DropMAE", "--schedule", "dropmae", "--device", "cpu"]
    assert main([*options, "--output", str(tmp_path / "run"), "--iterations", "2"]) == 0
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {STATE, WEIGHTS, "before.png", "pairs.png", "log.csv"}
    assert main([*options, "--output", str(tmp_path / "run"), "--trunk", "vit-tiny", "--validate-only", "D3S"]) == 2
    assert "--validate-only takes weights of D3S alone" in capsys.readouterr().err
