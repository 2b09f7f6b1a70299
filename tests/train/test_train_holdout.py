"""What a list of names holds out of the training, and what becomes of names that match nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from train_data import draw_stills, find

from train.__main__ import main
from train.config import SCHEDULES, PairConfig
from train.data.holdout import hold_out, read_names
from train.data.items import Item
from train.data.pairs import PairDataset
from train.errors import DataError
from train.state import fingerprint
from train.validation import Validation

SMALL = dataclasses.replace(
    SCHEDULES["quick"], iterations=2, batch=2, workers=0, validation_pairs=2, warmup=0, pairs=PairConfig(size=96)
)


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_stills(tmp_path_factory.mktemp("stills"))


@pytest.fixture(scope="module")
def items(stills: Path) -> list[Item]:
    return find("stills", stills)[0]


def held(items: list[Item]) -> set[tuple[str, str]]:
    return {(i.collection, i.group) for i in items if i.held_out}


def test_named_videos_sets_and_pictures_are_held_out_besides_the_usual_ones(items: list[Item]) -> None:
    before = held(items)
    assert ("video_clips", "clip") not in before and before
    assert held(hold_out(items, ["video_clips/clip"])) == before | {("video_clips", "clip")}
    assert held(hold_out(items, ["video_clips"])) == before | {("video_clips", "clip")}
    picture = next(i for i in items if i.collection == "shapes" and not i.held_out)
    assert held(hold_out(items, [f"shapes/{picture.group}"])) == before | {("shapes", picture.group)}
    whole = hold_out(items, ["shapes", "shapes/000.jpg"])
    assert {i.held_out for i in whole if i.collection == "shapes"} == {True}
    # Nothing else changes: the same objects in the same order.
    assert [dataclasses.replace(i, held_out=False) for i in whole] == [
        dataclasses.replace(i, held_out=False) for i in items
    ]


def test_a_folder_of_videos_holds_out_those_within_and_no_other(items: list[Item]) -> None:
    nested = [dataclasses.replace(i, group=f"zoo{n % 2}/{n % 4}", held_out=False) for n, i in enumerate(items[:8])]
    nested = [dataclasses.replace(i, collection="clips") for i in nested]
    assert held(hold_out(nested, ["clips/zoo1"])) == {("clips", "zoo1/1"), ("clips", "zoo1/3")}
    with pytest.raises(DataError, match=r"^clips/zoo, which is to be held out, is not in the data"):
        hold_out(nested, ["clips/zoo"])


def test_pictures_held_out_by_name_serve_as_nothing_in_training(items: list[Item]) -> None:
    """Neither as target nor as background nor as what is pasted beside one; a resumed run must name them again."""
    marked = hold_out(items, ["video_clips/clip"])
    train = [i for i in marked if not i.held_out]
    data = PairDataset(train, {"stills": 1.0}, SMALL.pairs, 0, 10)
    drawn_from = [*data.backgrounds, *(i for found in data.collections.values() for i in found)]
    drawn_from += [i for found in data.pictures.values() for i in found]
    assert {i.collection for i in drawn_from} == {"shapes"}
    assert fingerprint(marked, {"stills": 1.0}) != fingerprint(items, {"stills": 1.0})


def test_what_matches_nothing_is_refused_in_one_sentence(items: list[Item]) -> None:
    with pytest.raises(DataError) as refused:
        hold_out(items, ["video_clips/clip", "video_clips/cat", "absent", "clip"])
    assert str(refused.value) == (
        "absent, which is to be held out, is not in the data, as are 2 names more; correct the list"
    )


def test_a_list_has_a_name_a_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffshapes \r\n\r\n  clips/a b/\r\n".encode())
    assert read_names(path) == ["shapes", "clips/a b"]
    path.write_text("\n \n")
    with pytest.raises(DataError, match="names nothing to hold out"):
        read_names(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"list\.txt cannot be read \(it is no text\)"):
        read_names(path)
    with pytest.raises(DataError, match=r"absent\.txt cannot be read \(No such file or directory\)"):
        read_names(tmp_path / "absent.txt")


def test_the_command_takes_the_list(
    stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SCHEDULES, "quick", SMALL)
    seen: list[set[tuple[str, str]]] = []
    make = Validation.__init__

    def note(self: Validation, kept: list[Item], *more: object, **options: object) -> None:
        seen.append(held(kept))
        make(self, kept, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Validation, "__init__", note)
    listed = tmp_path / "list.txt"
    command = ["--data", f"stills={stills}", "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    command += ["--output", str(tmp_path / "run"), "--hold-out", str(listed)]
    listed.write_text("video_clips/clip\n")
    assert main([*command, "--validate-only", "D3S"]) == 0
    assert ("video_clips", "clip") in seen[0]
    listed.write_text("video_clips/dog\n")
    assert main(command) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "train: video_clips/dog, which is to be held out, is not in the data; correct the list"
    )
    assert not (tmp_path / "run" / "state.pt").exists()
