"""The training loop on a small data set that the tests draw: learning, resuming, several processes."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import warm
from torch import nn
from train_data import draw_stills
from waiting import PATIENCE

from d3s_vot import Box
from d3s_vot.errors import CheckpointError
from d3s_vot.tracker import Tracker as D3STracker
from d3s_vot.trackers.d3s.weights import trunks
from d3s_vot.trunks.create import create_trunk
from d3s_vot.zoo import load_checkpoint, load_model
from train.augment.render import Renderer, collate
from train.config import SCHEDULES, PairConfig, TrainConfig
from train.data.index import index
from train.data.items import Item, Source, read_image
from train.errors import DataError
from train.loop import Trainer
from train.memory import choose_precision
from train.parallel import Group
from train.tasks.trunk import create_trainable_trunk, trunk_tensors
from train.validation import overlap

CPU = torch.device("cpu")
WEIGHTS = {"stills": 1.0}
SMALL = dataclasses.replace(
    SCHEDULES["quick"], iterations=4, epoch=100, batch=2, workers=0, log_every=1, validation_pairs=2, warmup=1,
    precision="float32", pairs=PairConfig(size=96),
)  # fmt: skip

# The command line with a small schedule, and with accidents: argument 1 is JSON, the rest goes to `python -m train`.
DRIVER = """
import dataclasses, json, os, signal, sys
from train import config, loop
from train.__main__ import main
from train.data import pairs as data
from train.errors import DataError

plan = json.loads(sys.argv[1])
pairs = config.PairConfig(size=96)
config.SCHEDULES["quick"] = dataclasses.replace(config.SCHEDULES["quick"], pairs=pairs, **plan["config"])
step, draw = loop.Trainer.step, data.PairDataset.__getitem__

def step_and_die(self, batch):
    loss = step(self, batch)
    if self.iteration == plan.get("at"):
        os.kill(os.getpid(), getattr(signal, plan["signal"]))
    return loss

def draw_or_fail(self, number):
    if self.seed == 0 and number >= plan.get("pair", 10**9):
        if plan["accident"] == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        raise DataError("picture x.jpg is broken; replace it")
    return draw(self, number)

loop.Trainer.step, data.PairDataset.__getitem__ = step_and_die, draw_or_fail
sys.exit(main(sys.argv[2:]))
"""
QUICK = {"epoch": 20, "batch": 2, "workers": 0, "log_every": 3, "validation_pairs": 4, "precision": "float32"}


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> Path:
    return draw_stills(tmp_path_factory.mktemp("stills"))


@pytest.fixture(scope="module")
def items(stills) -> list[Item]:
    return index([Source("stills", stills)], cache=None, workers=0).items


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("driver") / "driver.py"
    path.write_text(DRIVER)
    return path


@pytest.fixture
def launch(driver, stills, tmp_path):
    """Runs the command line in its own process: launch(folder, *arguments, processes=1, **accident)."""

    def run(folder: str, *more: str, processes: int = 1, config: dict | None = None, **plan: Any):
        arguments = ["--data", f"stills={stills}", "--output", str(tmp_path / folder), "--device", "cpu",
                     "--cache", str(tmp_path / "cache"), *more]  # fmt: skip
        plan["config"] = QUICK | (config or {})
        here = Path(__file__).resolve().parents[2]
        environment = os.environ | {"PYTHONPATH": str(here), "OMP_NUM_THREADS": "1"}
        command = [str(driver), json.dumps(plan), *arguments]
        if processes == 1:
            return warm.run(command, environment)
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *torchrun, *command]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * PATIENCE)

    return run


def trainer(config: TrainConfig, items: list[Item], output: Path, **more: Any) -> Trainer:
    return Trainer(config, items, WEIGHTS, output, CPU, **more)


def first_batch(run: Trainer) -> dict[str, torch.Tensor]:
    return run.feed.place(next(run.feed.batches(run.data, [range(run.config.batch)])))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def column(folder: Path, name: str) -> list[float]:
    return [float(row[name]) for row in rows(folder)]


# --- learning ---------------------------------------------------------------------------------------------


def test_loss_falls_and_the_weights_load(items, tmp_path):
    run = trainer(dataclasses.replace(SMALL, iterations=30, learning_rate=5e-3), items, tmp_path, schedule="quick")
    batch = first_batch(run)
    losses = [run.step(batch).item() for _ in range(15)]
    assert losses[-1] < 0.8 * losses[0]
    run.validate()
    run.export()
    checkpoint = load_checkpoint(tmp_path / "head.safetensors")
    facts = checkpoint.provenance
    assert trunks(checkpoint) == ("efficientnet_lite0", None)
    assert all(name.startswith("segm_predictor.") for name in checkpoint.tensors)
    assert facts["iterations"] == 15 and facts["schedule"] == "quick" and facts["config"]["batch"] == 2
    assert facts["validation"]["all"] == {"iou": facts["validation_iou"], "pairs": 2}
    counts = facts["data"]["stills"]["collections"]
    assert sum(n["train"] for n in counts.values()) == facts["objects"]["train"] == sum(not i.held_out for i in items)
    assert facts["data"]["stills"]["weight"] == 1.0 and facts["torch"] == torch.__version__
    assert facts["commit"] != "" and facts["seconds"] >= 0 and facts["pairs_per_second"] > 0
    assert cv2.imread(str(tmp_path / "pairs.png")).shape == (160, 2 * 4 * 160, 3)  # two pairs, side by side


def test_half_precision_is_near_single(items, tmp_path):
    runs = [trainer(dataclasses.replace(SMALL, precision=p), items, tmp_path) for p in ("float32", "bfloat16")]
    batch = first_batch(runs[0])
    single, half = (run.step(batch).item() for run in runs)
    assert half == pytest.approx(single, rel=0.02) and half != single


def test_adam_without_average_gives_the_network_itself(items, tmp_path):
    config = dataclasses.replace(SMALL, optimizer="adam", decay="step", ema=0.0)
    run = trainer(config, items, tmp_path)
    assert type(run.optimizer) is torch.optim.Adam
    for _ in range(2):
        run.step(first_batch(run))
    averaged = run.average.module.state_dict()
    assert all(torch.equal(averaged[k], v) for k, v in run.task.state_dict().items())


def test_average_follows_slowly_and_by_its_factor(items, tmp_path):
    run = trainer(dataclasses.replace(SMALL, ema=0.75), items, tmp_path)
    batch = first_batch(run)
    run.step(batch)
    name = "network.mixer.0.weight"
    before = run.average.module.state_dict()[name].clone()
    run.step(batch)
    now = run.task.state_dict()[name]
    torch.testing.assert_close(run.average.module.state_dict()[name], 0.75 * before + 0.25 * now)


def test_ignored_pixels_have_no_gradient_and_no_say(items, tmp_path):
    run = trainer(SMALL, items, tmp_path)
    batch = first_batch(run)
    batch["weight"][:, :, :40] = 0
    other = batch | {"mask": batch["mask"].clone()}
    other["mask"][:, :, :40] = 1 - other["mask"][:, :, :40]
    assert torch.equal(run.task.eval().loss(batch), run.task.loss(other))


def test_the_loss_is_cross_entropy_and_dice(items, tmp_path):
    run = trainer(SMALL, items, tmp_path)
    batch = first_batch(run)
    batch["weight"][1] = 0  # a pair without a target that shows
    task = run.task.eval()
    logits, mask = task(batch)[0].detach().double().numpy(), batch["mask"][0, 0].double().numpy()
    answers = 1 / (1 + np.exp(-logits))  # 2 x S x S
    truth = np.stack([mask, 1 - mask])
    entropy = -(truth * np.log(answers) + (1 - truth) * np.log(1 - answers)).mean()
    found = 1 / (1 + np.exp(logits[1] - logits[0]))
    dice = 1 - (2 * (found * mask).sum() + 20) / (found.sum() + mask.sum() + 20)
    assert task.loss(batch).tolist() == pytest.approx([entropy + dice, 0], rel=1e-4)
    task.dice = 0.0  # as published
    assert task.loss(batch).tolist() == pytest.approx([entropy, 0], rel=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run(items, tmp_path):
    run = trainer(SMALL, items, tmp_path)
    with torch.no_grad():
        run.task.network.post0[0].weight.fill_(math.inf)
    with pytest.raises(FloatingPointError, match="loss is nan at iteration 1; lower the learning rate"):
        run.run()
    assert not (tmp_path / "state.pt").exists()


def test_a_batch_rendered_on_the_device_is_that_of_the_worker(items, tmp_path):
    run = trainer(SMALL, items, tmp_path)
    in_worker = first_batch(run)
    run.feed.collate, run.feed.renderer = collate, Renderer(SMALL.pairs)  # as for a GPU
    assert not first_batch(run).keys() ^ in_worker.keys()
    for name, tensor in first_batch(run).items():
        assert torch.equal(tensor, in_worker[name]), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_renders_and_resumes(items, tmp_path):
    config = dataclasses.replace(SMALL, precision="bfloat16", workers=1, tuned_stages=4)
    first = Trainer(config, items, WEIGHTS, tmp_path, torch.device("cuda"))
    first.run()
    assert all(math.isfinite(loss) for loss in column(tmp_path, "loss"))
    again = Trainer(config, items, WEIGHTS, tmp_path, torch.device("cuda"))
    again.resume()
    assert all(torch.equal(v, again.task.state_dict()[k]) for k, v in first.task.state_dict().items())
    assert load_model(tmp_path / "head.safetensors", "cuda").device.type == "cuda"


def test_overlap_counts_the_pixels_of_weight():
    mask = torch.zeros(3, 1, 4, 4)
    mask[:, :, :2] = 1
    weight = torch.ones(3, 1, 4, 4)
    weight[1, :, :, 0] = 0
    weight[2] = 0
    predicted = torch.zeros(3, 4, 4, dtype=torch.bool)
    predicted[:, 1:3, 1:] = True
    iou = overlap(predicted, {"mask": mask, "weight": weight})
    assert iou[:2].tolist() == pytest.approx([3 / 11, 3 / 9]) and math.isnan(iou[2])


# --- the trunk --------------------------------------------------------------------------------------------


def check_way_back(name: str, path: Path | None, tolerance: float, items: list[Item]) -> None:
    """A trunk that has learnt nothing has, before and after it was stored, the features of the ImageNet trunk."""
    images = torch.from_numpy(read_image(items[0].image)[:96, :96].transpose(2, 0, 1).copy())[None]
    trunk = create_trainable_trunk(name, weights=path)
    tensors = trunk_tensors(trunk, path)
    # float16, but for variances of some trunks that are too large for it.
    assert all(t.dtype == torch.float16 or t.max() > torch.finfo(torch.float16).max for t in tensors.values())
    back = create_trunk(name, state=tensors)
    with torch.no_grad():
        for stride, features in create_trunk(name, path)(images).items():
            for other, most in ((trunk, 1e-4), (back, tolerance)):
                error = (other(images)[stride] - features).norm() / features.norm()
                assert error < most, (name, stride, error)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_a_trunk_that_did_not_learn_comes_back_as_it_was(name, items):
    check_way_back(name, None, 0.03, items)  # half precision costs a percent here


@pytest.mark.parametrize("name", ["resnet18", "resnet50_caffe"])
def test_resnets_come_back_too(name, items, shared):
    check_way_back(name, shared / "weights" / f"{name}_trunk.safetensors", 0.01, items)


def test_a_tuned_trunk_learns_and_is_tracked_with(items, tmp_path):
    config = dataclasses.replace(SMALL, tuned_stages=4, trunk_rate=0.5, ema=0.5)
    run = trainer(config, items, tmp_path)
    start = {k: v.clone() for k, v in run.task.trunk.state_dict().items()}
    run.run()
    now = run.task.trunk.state_dict()
    norms = {n for n, m in run.task.trunk.named_modules() if isinstance(m, nn.BatchNorm2d)}
    changed = {k for k in now if not torch.equal(now[k], start[k])}
    assert norms and changed == {k for k in now if k.rpartition(".")[0] not in norms}
    rates = {g["lr"] / g["share"] for g in run.optimizer.param_groups}
    assert len(rates) == 1 and run.optimizer.param_groups[-1]["share"] == 0.5

    path = tmp_path / "head.safetensors"
    checkpoint = load_checkpoint(path)
    assert trunks(checkpoint) == ("efficientnet_lite0", "efficientnet_lite0")
    model = load_model(path, "cpu")
    assert model.gem_trunk is not model.trunk
    images = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        averaged, plain = run.average.module.trunk(images)[16], run.task.trunk(images)[16]
        found = model.trunk(images)[16]
        assert (found - averaged).norm() < 0.1 * (plain - averaged).norm() + 0.01 * averaged.norm()
        torch.testing.assert_close(model.gem_trunk(images)[16], create_trunk("efficientnet_lite0")(images)[16])
    tracker = D3STracker(model)
    image = np.full((200, 200, 3), 60, np.uint8)
    cv2.circle(image, (100, 100), 25, (220, 40, 40), -1)
    tracker.initialize(image, Box(75, 75, 50, 50))
    box = tracker.track(image).box
    assert box.w > 0 and box.h > 0


def test_a_run_begins_with_trained_weights(items, tmp_path):
    run = trainer(SMALL, items, tmp_path / "first")
    run.run()
    before = load_checkpoint(tmp_path / "first" / "head.safetensors")
    more = dataclasses.replace(SMALL, iterations=1, learning_rate=1e-12, ema=0.0)
    trainer(more, items, tmp_path / "second", start=before).run()
    after = load_checkpoint(tmp_path / "second" / "head.safetensors")
    for name, tensor in before.tensors.items():
        if "running" not in name and "num_batches" not in name:  # batch norm has seen other pictures
            torch.testing.assert_close(after.tensors[name], tensor, atol=1e-6, rtol=0)
    assert after.provenance["start"]["checksum"] == before.checksum
    assert after.provenance["start"]["iterations"] == 4 and before.provenance["start"] is None
    stopped = trainer(more, items, tmp_path / "second", start=before)
    stopped.resume()
    with pytest.raises(DataError, match="weights to start from"):
        trainer(more, items, tmp_path / "second").resume()


def test_the_last_stages_of_a_trunk_may_learn_alone(items, tmp_path):
    run = trainer(dataclasses.replace(SMALL, tuned_stages=1, trunk_rate=1.0), items, tmp_path)
    start = {k: v.clone() for k, v in run.task.trunk.state_dict().items()}
    run.run()
    changed = {k for k, v in run.task.trunk.state_dict().items() if not torch.equal(v, start[k])}
    assert changed and all(k.startswith("stages.3.") for k in changed)


def test_a_wide_network_begins_with_the_answers_of_a_narrow_one(items, tmp_path):
    run = trainer(SMALL, items, tmp_path / "narrow")
    run.run()
    start = load_checkpoint(tmp_path / "narrow" / "head.safetensors")
    wide = trainer(dataclasses.replace(SMALL, width=2, learning_rate=1e-2), items, tmp_path / "wide", start=start)
    narrow = trainer(SMALL, items, tmp_path / "other", start=start)
    batch = wide.feed.place(next(wide.feed.batches(wide.data, [range(2)])))
    with torch.no_grad():
        before = wide.task.eval()(batch)
        torch.testing.assert_close(before, narrow.task.eval()(batch), atol=1e-4, rtol=1e-4)
    wide.run()
    new = wide.task.network.get_parameter("post0.0.weight")[:, 4:]  # of the channels that it did not hear
    assert new.abs().max() > 0
    model = load_model(tmp_path / "wide" / "head.safetensors", "cpu")
    assert model.config.refinement_width == model.network.width == 2
    with pytest.raises(CheckpointError, match="--width"):
        trainer(SMALL, items, tmp_path / "fourth", start=load_checkpoint(tmp_path / "wide" / "head.safetensors"))


def test_the_precision_is_one_that_the_device_computes_in(monkeypatch):
    for able, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda able=able: able)
        assert choose_precision("auto", torch.device("cpu")) == dtype
        assert choose_precision("float32", torch.device("cpu")) == torch.float32
    assert choose_precision("auto", torch.device("cuda")) == torch.bfloat16


def test_a_tuned_trunk_is_begun_with_too(items, tmp_path):
    config = dataclasses.replace(SMALL, tuned_stages=4, trunk_rate=1.0)
    trainer(config, items, tmp_path / "first").run()
    before = load_checkpoint(tmp_path / "first" / "head.safetensors")
    run = trainer(config, items, tmp_path / "second", start=before)
    images = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    with torch.no_grad():
        found, imagenet = run.task.trunk(images)[16], create_trunk("efficientnet_lite0")(images)[16]
        learnt = load_model(tmp_path / "first" / "head.safetensors", "cpu").trunk(images)[16]
    assert (found - learnt).norm() < 0.05 * (imagenet - learnt).norm()
    with pytest.raises(CheckpointError, match="--tune-trunk"):
        trainer(SMALL, items, tmp_path / "third", start=before)
    with pytest.raises(CheckpointError, match="efficientnet_lite0, not efficientnet_lite2"):
        trainer(dataclasses.replace(config, trunk="efficientnet_lite2"), items, tmp_path / "third", start=before)


# --- resuming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tuned", [False, True])
def test_resume_continues_as_if_never_stopped(items, tmp_path, tuned):
    config = dataclasses.replace(SMALL, log_every=3, tuned_stages=4 if tuned else 0)
    whole = trainer(config, items, tmp_path / "whole")
    whole.run()
    stopped = trainer(config, items, tmp_path / "stopped")
    stopped.output.mkdir()
    for batch in stopped.feed.batches(stopped.data, [range(0, 2), range(2, 4)]):
        stopped._pending.append(stopped.step(stopped.feed.place(batch)))
    stopped.save()
    resumed = trainer(config, items, tmp_path / "stopped")
    resumed.resume()
    assert resumed.iteration == 2
    resumed.run()
    ours, theirs = (t.task.state_dict() for t in (resumed, whole))
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    assert column(resumed.output, "loss") == column(whole.output, "loss")
    a, b = (load_checkpoint(tmp_path / n / "head.safetensors").checksum for n in ("whole", "stopped"))
    assert a == b


def test_a_finished_run_resumes_to_its_weights(items, tmp_path):
    trainer(SMALL, items, tmp_path).run()
    before = load_checkpoint(tmp_path / "head.safetensors")
    (tmp_path / "head.safetensors").unlink()
    again = trainer(SMALL, items, tmp_path)
    again.resume()
    again.run()
    after = load_checkpoint(tmp_path / "head.safetensors")
    assert after.checksum == before.checksum and after.provenance["validation"] == before.provenance["validation"]
    assert column(tmp_path, "iteration") == [1, 2, 3, 4]


def test_resume_refuses_what_it_cannot_continue(items, tmp_path, monkeypatch):
    run = trainer(SMALL, items, tmp_path)
    with pytest.raises(DataError, match=r"no .*to resume from"):
        run.resume()
    run.save()
    with pytest.raises(DataError, match="another batch, seed"):
        trainer(dataclasses.replace(SMALL, batch=3, seed=1, workers=1), items, tmp_path).resume()
    with pytest.raises(DataError, match="other data"):
        trainer(SMALL, items[:-1], tmp_path).resume()
    with pytest.raises(DataError, match="other data"):
        Trainer(SMALL, items, {"stills": 2.0}, tmp_path, CPU).resume()
    with pytest.raises(DataError, match="add --resume"):
        run.run()
    with monkeypatch.context() as patch, pytest.raises(DataError, match=r"written with d3s-vot .*, here is 99\.0"):
        patch.setattr("train.state.version", lambda package: "99.0")
        run.resume()
    (tmp_path / "state.pt").write_bytes(b"half a file")
    with pytest.raises(DataError, match="damaged"):
        run.resume()


def test_resume_refuses_pictures_that_are_others_under_the_same_names(stills, tmp_path):
    root = tmp_path / "stills"
    shutil.copytree(stills, root)

    def begin() -> Trainer:
        found = index([Source("stills", root)], cache=None, workers=0).items
        return trainer(SMALL, found, tmp_path / "run")

    (tmp_path / "run").mkdir()
    begin().save()
    begin().resume()  # copied files are the same, whatever their time
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    cv2.imwrite(str(root / "shapes/images/000.jpg"), noise)
    with pytest.raises(DataError, match="other data"):
        begin().resume()


def test_weights_without_a_state_are_not_written_over(items, tmp_path):
    (tmp_path / "head.safetensors").write_bytes(b"of an earlier run")
    with pytest.raises(DataError, match="holds a run already"):
        trainer(SMALL, items, tmp_path).run()
    assert (tmp_path / "head.safetensors").read_bytes() == b"of an earlier run"


def test_killed_amid_an_epoch_the_loss_curve_is_that_of_an_undisturbed_run(launch, tmp_path):
    more = ("--iterations", "24", "--checkpoint-minutes", "0")
    config = {"epoch": 10}
    assert launch("whole", *more, config=config).returncode == 0
    killed = launch("killed", *more, config=config, at=17, signal="SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert column(tmp_path / "killed", "iteration") == [3, 6, 9, 12, 15]
    assert not (tmp_path / "killed" / "head.safetensors").exists()
    # As if it had been killed between a row and the state that follows, the row half written.
    with (tmp_path / "killed" / "log.csv").open("a") as file:
        file.write("18,9.9,0.1,0.001,1.0,0.1,0\r\n21,0.")
    resumed = launch("killed", *more, "--resume", config=config)
    assert resumed.returncode == 0, resumed.stderr
    assert "iteration 18 of 24" in resumed.stdout and "iteration 15 of 24" not in resumed.stdout
    for name in ("iteration", "loss", "validation_iou", "learning_rate", "skipped"):
        a, b = (column(tmp_path / n, name) for n in ("whole", "killed"))
        np.testing.assert_allclose(a, b, rtol=1e-6, err_msg=name)
    assert len(a) == 8


@pytest.mark.parametrize("kind", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_keeps_the_state_of_the_moment(launch, tmp_path, kind):
    more = ("--iterations", "10", "--workers", "1")
    stopped = launch("run", *more, at=5, signal=kind)
    assert stopped.returncode == 1
    assert stopped.stderr.splitlines()[-1] == f"train: interrupted; go on with --resume from {tmp_path / 'run'}"
    assert "Traceback" not in stopped.stderr
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["iteration"] == 5 and len(state["losses"]) == 2
    if kind != "SIGTERM":  # what goes on is the same file
        return
    assert launch("run", *more, "--resume").returncode == 0
    assert column(tmp_path / "run", "iteration") == [3, 6, 9, 10]


@pytest.mark.parametrize(("accident", "processes"), [("dies", 1), ("fails", 2)])
def test_an_accident_in_a_worker_is_one_sentence_and_keeps_the_state(launch, tmp_path, accident, processes):
    more = ("--iterations", "10", "--workers", "1")
    failed = launch("run", *more, processes=processes, pair=11, accident=accident)
    said = [line for line in failed.stderr.splitlines() if line.startswith("train: ")]
    assert len(said) == 1, failed.stderr
    assert ("lower --workers" if accident == "dies" else "x.jpg is broken; replace it") in said[0]
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["iteration"] in (3, 4, 5)  # what a dead worker had not yet handed over is lost
    if processes == 1:
        assert failed.returncode == 2 and failed.stderr.splitlines()[-1] == said[0]
        assert "Traceback" not in failed.stderr


# --- several processes ------------------------------------------------------------------------------------


@pytest.fixture
def one_and_two(launch, tmp_path):
    """Folders of the same run by one process and by two: one_and_two(*arguments)."""

    def run(*more: str) -> tuple[Path, Path]:
        config = {"log_every": 1, "warmup": 1, "ema": 0.9, "clip": 1.0, "batch": 4}
        for name, processes in (("one", 1), ("two", 2)):
            done = launch(name, *more, processes=processes, config=config)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("iteration 1 of") == 1  # one process speaks
        return tmp_path / "one", tmp_path / "two"

    return run


def is_offset(name: str) -> bool:
    """Whether it is an offset before batch norm, or the mean that takes it off again.

    It has no gradient but rounding errors, of which Adam makes steps as large as the learning rate.
    """
    return name.endswith(("running_mean", ".0.bias"))


def test_two_processes_have_the_loss_and_gradients_of_one(one_and_two):
    folders = one_and_two("--iterations", "1", "--tune-trunk")
    one, two = (torch.load(folder / "state.pt", weights_only=True)["optimizer"]["state"] for folder in folders)
    assert len(one) == len(two) > 60  # parameters of the head and of the trunk
    for number, moments in one.items():
        gradient, other = moments["exp_avg"], two[number]["exp_avg"]  # a tenth of the gradient after clipping
        assert (gradient - other).norm() < 1e-3 * gradient.norm() + 2e-6, number
    losses = [column(folder, "loss")[0] for folder in folders]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_two_processes_learn_what_one_does(one_and_two):
    folders = one_and_two("--iterations", "3", "--learning-rate", "0.001")
    for name, tolerance in (("iteration", 0), ("loss", 5e-4), ("validation_iou", 5e-3), ("skipped", 0)):
        a, b = (column(folder, name) for folder in folders)
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=0, err_msg=name)
    one, two = (torch.load(folder / "state.pt", weights_only=True) for folder in folders)
    for part in ("task", "average"):
        for name, tensor in one[part].items():
            most = 2 * 3 * 0.001 if is_offset(name) else 2e-4
            difference = ((tensor - two[part][name]).abs() / tensor.abs().clamp(min=1)).mean()
            assert difference < most, (part, name, difference)
    a, b = (load_checkpoint(folder / "head.safetensors").provenance for folder in folders)
    assert a["validation"]["all"]["pairs"] == b["validation"]["all"]["pairs"] == 4
    assert a["objects"] == b["objects"] and a["data"] == b["data"]


def test_a_batch_that_cannot_be_shared_is_refused(items, tmp_path):
    with pytest.raises(DataError, match=r"3 pairs .* 2 processes; make --batch a multiple of 2"):
        trainer(dataclasses.replace(SMALL, batch=3), items, tmp_path, group=Group(1, 2))


def test_shares_are_contiguous_and_complete():
    for count in (1, 7, 64):
        shares = [Group(rank, 3).share(count) for rank in range(3)]
        assert [n for share in shares for n in share] == list(range(count))


# --- the log and the command line -------------------------------------------------------------------------


def test_log_has_a_row_for_every_interval_and_the_last_step(items, tmp_path):
    run = trainer(dataclasses.replace(SMALL, iterations=7, epoch=4, log_every=3), items, tmp_path)
    run.run()
    found = rows(tmp_path)
    assert list(found[0]) == ["iteration", "loss", "validation_iou", "learning_rate", "pairs_per_second", "waiting",
                              "skipped"]  # fmt: skip
    assert [row["iteration"] for row in found] == ["3", "6", "7"]
    assert [row["validation_iou"] == "nan" for row in found] == [True, False, False]
    assert all(0 <= float(row["waiting"]) <= 1 and float(row["pairs_per_second"]) > 0 for row in found)


def test_broken_pictures_are_counted(items, tmp_path, stills):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    mixed = [dataclasses.replace(i, image=broken) if n % 2 and not i.held_out else i for n, i in enumerate(items)]
    run = trainer(SMALL, mixed, tmp_path)
    run.run()
    assert run.skipped > 0
    assert column(tmp_path, "skipped")[-1] == run.skipped


def test_tensorboard_is_asked_for_by_name_or_written(items, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it were not installed
    with pytest.raises(DataError, match=r"pip install 'd3s-vot\[train\]'"):
        trainer(SMALL, items, tmp_path, tensorboard=True)
    monkeypatch.undo()
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(SMALL, items, tmp_path, tensorboard=True).run()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("loss")] == [1, 2, 3, 4]
    assert "validation_iou/all" in events.Tags()["scalars"] and events.Tags()["images"] == ["pairs"]
