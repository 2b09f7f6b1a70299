"""Training of the head that judges: what it learns, what it is told of mistakes, and that a run goes on."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from d3s_vot.online.evidence import MAPS, MEASURES
from d3s_vot.trackers.d3s.model import D3SModel
from d3s_vot.weights.find import find_weights
from d3s_vot.zoo import load_checkpoint
from train.judgement import __main__ as command
from train.judgement.fit import fit, report
from train.judgement.samples import KINDS, Samples


def easy(count: int, seed: int) -> Samples:
    """Crops whose first map and first measure tell the overlap, and whose third measure tells the size."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(0, 1, count).astype(np.float32)
    log_size = rng.uniform(-1, 1, count).astype(np.float32)
    maps = rng.uniform(0, 0.1, (count, MAPS, 24, 24)).astype(np.float16)
    maps[:, 0] += quality[:, None, None].astype(np.float16)
    measures = rng.normal(0, 0.1, (count, len(MEASURES))).astype(np.float32)
    measures[:, 0] += quality
    measures[:, 2] += log_size
    return Samples(maps, measures, np.ones(count, np.float32), quality, log_size, np.arange(count) % len(KINDS))


def test_it_learns_what_the_evidence_says_and_reports_on_others() -> None:
    head = fit(easy(640, 0), epochs=12, seed=0)
    told = report(head, easy(300, 1))
    assert told["ROC area"] > 0.98 and told["calibration"] < 0.1
    assert all(told[f"size, {kind}"] < 0.25 for kind in KINDS)
    mixed = easy(300, 1)
    astray = report(head, replace(mixed, quality=mixed.quality[::-1].copy()))
    assert astray["ROC area"] < 0.7 and astray["calibration"] > 0.1


def test_a_seed_gives_the_same_head_and_the_callers_chance_is_left_alone() -> None:
    samples = easy(128, 0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, again, other = (fit(samples, epochs=1, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """Pictures of a textured disc on a textured ground, in the layout of stills."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / "set" / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(24):
        image = cv2.GaussianBlur(rng.integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 2)
        mask = cv2.circle(np.zeros((120, 160), np.uint8), (int(rng.integers(40, 120)), 60), 25, 1, -1)
        image[mask > 0] = np.rint(0.4 * image[mask > 0] + (150, 40, 40)).astype(np.uint8)
        cv2.imwrite(str(tmp_path / "data" / "set" / "images" / f"{number:02d}.jpg"), image)
        cv2.imwrite(str(tmp_path / "data" / "set" / "masks" / f"{number:02d}.png"), mask)
    return tmp_path / "data"


def words(stills: Path, output: Path, *more: str) -> list[str]:
    data = ["--data", f"stills={stills}", "--cache", str(output.parent / "cache"), "--preset", "exact"]
    return [*data, "--samples", "60", "--epochs", "2", "--output", str(output), *more]


def test_the_command_goes_on_from_kept_samples_and_refuses_those_of_another_run(
    stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "D3S-new.safetensors"
    monkeypatch.setattr(command, "PART", 30)
    draw, drawn = command.draw, []

    def broken(*arguments: object) -> Samples:
        if drawn:
            raise KeyboardInterrupt
        drawn.append(draw(*arguments))
        return drawn[0]

    monkeypatch.setattr(command, "draw", broken)
    assert command.main(words(stills, output)) == 1
    assert "the samples are kept" in capsys.readouterr().err and not output.exists()
    monkeypatch.setattr(command, "draw", draw)
    assert command.main(words(stills, output, "--blurred-views")) == 2  # another evidence
    assert "are of other weights, data, seed, preset or views" in capsys.readouterr().err and not output.exists()
    assert command.main(words(stills, output)) == 0
    with np.load(output.with_suffix(".samples.npz")) as kept:
        for field in fields(Samples):
            first = getattr(drawn[0], field.name)
            assert np.array_equal(kept[field.name][: len(first)], first, equal_nan=field.name != "kind")
        assert len(kept["kind"]) >= 60
    made = load_checkpoint(output)
    assert made.config["judgement"] == 1 and made.provenance["judgement"]["samples"] >= 60
    assert command.main(words(stills, output, "--seed", "1")) == 2
    assert "are of other weights, data, seed, preset or views" in capsys.readouterr().err
    kept_file = output.with_suffix(".samples.npz")
    kept_file.write_bytes(kept_file.read_bytes()[:1000])
    assert command.main(words(stills, output)) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_blurred_views_are_asked_for_by_the_weights_that_were_made_with_them_alone(
    stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def draw(model: D3SModel, *_: object) -> Samples:
        asked.append(model.config.blurred_views)
        return easy(60, 0)

    monkeypatch.setattr(command, "draw", draw)
    views, plain = tmp_path / "views.safetensors", tmp_path / "plain.safetensors"
    assert command.main(words(stills, views, "--blurred-views")) == 0
    assert command.main(words(stills, plain, "--weights", str(views))) == 0
    shipped = load_checkpoint(find_weights("D3S")).config
    assert load_checkpoint(views).config == shipped | {"blurred_views": 1}
    assert load_checkpoint(plain).config == shipped
    assert asked == [1, 0]


def test_mistakes_are_told_in_a_sentence(stills: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new.safetensors"
    for count in ("5", "0", "many"):
        with pytest.raises(SystemExit):
            command.main(words(stills, output, "--samples", count))
    for mistake in (["--seed", "-1"], ["--output", str(tmp_path)]):
        with pytest.raises(SystemExit) as exit_:
            command.main(words(stills, output, *mistake))
        assert exit_.value.code == 2 and mistake[1] in capsys.readouterr().err
    assert command.main(words(stills, output, "--weights", "nothing")) == 2
    assert command.main(words(tmp_path / "nowhere", output)) == 2
    for line in capsys.readouterr().err.splitlines():
        assert "Traceback" not in line
    assert not output.exists()
