"""Training pairs: what is drawn in a worker, and what the batch makes of it."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from train_data import draw_stills

from train.augment import plan
from train.augment.photometry import NoiseBank, apply_light, degrade, draw_light, pack_lights
from train.augment.render import Renderer, _inside, _thin_plate, collate, make_batch
from train.config import AUGMENTATIONS, SCHEDULES, LightConfig, PairConfig
from train.data.index import index
from train.data.items import DataError, Source
from train.data.pairs import PairDataset

SIZE = 96
FULL = PairConfig(SIZE)
STILL = dataclasses.replace(PairConfig.published(SIZE), search_shift=0, search_scale=0, rotation=0, stretch=0)
DARK = LightConfig(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)  # changes nothing


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return index([Source("stills", draw_stills(tmp_path_factory.mktemp("stills")))], cache=None, workers=1).items


def dataset(items, config=FULL, seed=0, length=20):
    return PairDataset(items, {"stills": 1.0}, config, seed, length)


def rendered(items, config=FULL, numbers=range(6), seed=0):
    data = dataset(items, config, seed, max(numbers) + 1)
    return Renderer(config)(collate([data[n] for n in numbers]))


@pytest.mark.parametrize("name", ["full", "mild", "published", "no-lookalikes"])
def test_batches_have_the_promised_form(items, name):
    batch = rendered(items, dataclasses.replace(AUGMENTATIONS[name], size=SIZE))
    for key in ("template", "search"):
        assert batch[key].shape == (6, 3, SIZE, SIZE) and batch[key].dtype == torch.uint8
    for key in ("template_mask", "mask", "weight"):
        assert batch[key].shape == (6, 1, SIZE, SIZE) and set(batch[key].unique().tolist()) <= {0.0, 1.0}
    assert batch["center"].shape == (6, 2) and (batch["center"] >= 1).all() and (batch["center"] <= SIZE).all()
    assert (batch["mask"].sum(dim=(1, 2, 3)) > 0).sum() >= 5
    assert set(batch["collection"]) <= {"shapes", "video_clips"} and int(batch["skipped"]) == 0


def test_pairs_depend_on_seed_and_number_alone(items):
    a, b = (rendered(items, numbers=[3, 7]) for _ in range(2))
    alone = rendered(items, numbers=[7])
    other = rendered(items, numbers=[7], seed=1)
    assert all(torch.equal(a[k], b[k]) for k in ("template", "search", "mask", "center"))
    assert torch.equal(a["mask"][1], alone["mask"][0]) and torch.equal(a["template"][1], alone["template"][0])
    assert not torch.equal(alone["search"], other["search"])


def test_rendering_in_the_worker_is_the_same(items):
    data = dataset(items)
    pairs = [data[n] for n in range(4)]
    ours, theirs = make_batch(FULL)(pairs), Renderer(FULL)(collate(pairs))
    assert all(torch.equal(ours[k], theirs[k]) for k in ("template", "search", "template_mask", "mask", "weight"))


def test_without_augmentation_the_target_is_the_object(items):
    """The crop is four times the target's size, so the mask of an ellipse fills about pi / 4 / 16 of it."""
    config = dataclasses.replace(STILL, location_shift=0, box_on_itself=0)
    batch = rendered(items, config)
    assert batch["mask"].mean(dim=(1, 2, 3)).numpy() == pytest.approx(np.pi / 4 / 16, rel=0.15)
    for mask, center in zip(batch["mask"], batch["center"], strict=True):
        ys, xs = np.nonzero(mask[0].numpy())
        assert np.hypot(xs.mean() + 1 - float(center[0]), ys.mean() + 1 - float(center[1])) < 2


def test_crop_is_the_picture_under_its_matrix(items):
    """The two steps, patch and grid, against one warp by OpenCV."""
    config = dataclasses.replace(STILL, rotation=40, light=DARK, box_on_itself=0)
    data = dataset([i for i in items if i.collection == "shapes"], config)
    pair = data[1]
    shown = Renderer(config)(collate([pair]))["search"][0].permute(1, 2, 0).numpy()
    layer = next(x for x in pair.layers if x.role == plan.SEARCH)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    direct = cv2.warpPerspective(
        layer.patch[..., :3], layer.matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.abs(shown.astype(int) - direct).mean() < 1


@pytest.mark.parametrize(
    ("change", "role"),
    [("paste", plan.SCENE), ("independent", plan.SCENE), ("lookalike", plan.BESIDE), ("occluder", plan.ACROSS)],
)
def test_each_layer_changes_the_search_crop(items, change, role):
    config = dataclasses.replace(STILL, box_on_itself=0, light=DARK)
    without = rendered(items, config)
    data = dataset(items, dataclasses.replace(config, **{change: 1.0}))
    pairs = [data[n] for n in range(6)]
    assert all(sum(x.role == role for x in p.layers) == 1 for p in pairs)
    batch = Renderer(config)(collate(pairs))
    assert not torch.equal(batch["search"], without["search"])
    if change == "occluder":
        assert batch["mask"].sum() < without["mask"].sum()


def test_pasted_target_keeps_its_pixels_and_the_scene_changes(items):
    config = dataclasses.replace(STILL, box_on_itself=0, light=DARK, paste=1.0)
    data = dataset(items, config)
    pairs = [data[n] for n in range(4)]
    pasted = Renderer(config)(collate(pairs))
    alone = Renderer(config)(collate([dataclasses.replace(p, layers=p.layers[:2]) for p in pairs]))
    inside = torch.nn.functional.avg_pool2d(pasted["mask"], 9, 1, 4) == 1  # well within the target
    difference = (pasted["search"].float() - alone["search"].float()).abs().mean(dim=1, keepdim=True)
    assert difference[inside].max() <= 2 and difference[pasted["mask"] == 0].mean() > 5
    assert (pasted["weight"] == 1).all()


def test_end_of_picture_repeats_its_last_pixels_and_hides_the_target(items):
    config = dataclasses.replace(STILL, box_on_itself=0, light=DARK, exit=1.0)
    data = dataset(items, config)
    for number in range(8):
        pair = data[number]
        cut = Renderer(config)(collate([pair]))
        whole = Renderer(config)(collate([dataclasses.replace(pair, frame=np.array(plan.NO_FRAME))]))
        assert 0 < cut["mask"].sum() < whole["mask"].sum()
        x0 = pair.frame[0]
        if x0 > 0:
            column = int(np.floor(x0))
            assert (cut["search"][0, :, :, :column] == cut["search"][0, :, :, :1]).all()


def test_thin_plate_moves_control_points_as_told_and_affine_shifts_everywhere():
    axis = torch.linspace(0, 95, 4)
    control = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2).view(-1, 2)
    shift = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(_thin_plate(control, 96) @ shift, shift, atol=1e-4)
    points = torch.rand(50, 2) * 95
    linear = control @ torch.tensor([[0.1, 0.02], [-0.05, 0.2]]) + 3
    expected = points @ torch.tensor([[0.1, 0.02], [-0.05, 0.2]]) + 3
    assert torch.allclose(_thin_plate(points, 96) @ linear, expected, atol=1e-3)


def test_filled_quadrilaterals_agree_with_opencv():
    rng = np.random.default_rng(0)
    axis = torch.arange(64, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=2)
    for _ in range(10):
        box = cv2.boxPoints(
            ((rng.uniform(20, 44), rng.uniform(20, 44)), tuple(rng.uniform(8, 30, 2)), rng.uniform(0, 90))
        )
        for corners in (box, box[::-1].copy()):
            ours = _inside(grid, torch.tensor(corners)[None])[0].numpy()
            theirs = [[cv2.pointPolygonTest(corners, (x, y), False) >= 0 for x in range(64)] for y in range(64)]
            assert (ours != np.array(theirs)).mean() < 1e-3


def test_template_marks(items):
    box = rendered(items, dataclasses.replace(STILL, box_on_itself=1.0))
    own = rendered(items, dataclasses.replace(STILL, box_on_itself=0.0))
    rough = rendered(items, dataclasses.replace(STILL, box_on_itself=0.0, rough_mask=1.0))
    assert (
        box["template_mask"].sum(dim=(1, 2, 3)) > 1.05 * own["template_mask"].sum(dim=(1, 2, 3))
    ).float().mean() > 0.7
    both = (rough["template_mask"] * own["template_mask"]).sum(dim=(1, 2, 3))
    either = (rough["template_mask"] + own["template_mask"]).clamp(max=1).sum(dim=(1, 2, 3))
    assert (both / either > 0.3).all() and (both / either).max() < 1


def test_box_on_itself_shows_the_template_again(items):
    batch = rendered(items, dataclasses.replace(STILL, box_on_itself=1.0, light=DARK))
    assert torch.equal(batch["template"], batch["search"])


def test_target_that_does_not_show_has_no_weight(items):
    pair = dataset(items, STILL)[0]
    empty = [dataclasses.replace(x, patch=x.patch * np.array([1, 1, 1, 0, 1], np.uint8)) for x in pair.layers]
    batch = Renderer(STILL)(collate([dataclasses.replace(pair, layers=empty), pair]))
    assert batch["weight"][0].sum() == 0 and batch["weight"][1].sum() > 0


def test_ignored_pixels_have_no_weight(items):
    batch = rendered(items, dataclasses.replace(STILL, box_on_itself=0.0, area_scale=8.0))
    assert 0 < (batch["weight"] == 0).float().mean() < 0.2


def test_unreadable_pictures_are_counted_and_left_out(tmp_path, caplog):
    root = draw_stills(tmp_path)
    items = index([Source("stills", root)], cache=None, workers=1).items
    whole = dataset(items, STILL)[5]
    assert whole.skipped == 0
    for path in sorted({i.image for i in items})[::2]:
        path.write_bytes(b"")
    skipped = [dataset(items, STILL)[n].skipped for n in range(8)]
    assert sum(skipped) > 0 and "left out" in caplog.text
    for path in {i.image for i in items}:
        path.write_bytes(b"")
    with pytest.raises(DataError):
        dataset(items, STILL)[0]


def test_views_of_a_video_are_near_each_other(items):
    """Frames that are too far apart are no partners: the pair is a still's, both patches alike."""
    clip = [i for i in items if i.collection == "video_clips"]
    config = dataclasses.replace(STILL, template_shift=0, template_scale=0, box_on_itself=0)
    for spread, alike in ((1, False), (100, True)):
        data = dataset([*(dataclasses.replace(i, frame=spread * i.frame) for i in clip)], config)
        pairs = [data[n] for n in range(12)]
        assert all(np.array_equal(p.layers[0].patch, p.layers[1].patch) for p in pairs) == alike


def test_twin_is_the_target_once_more(items):
    config = dataclasses.replace(STILL, box_on_itself=0, light=DARK, lookalike=1.0, twin=1.0)
    data = dataset([i for i in items if i.collection == "shapes"], config)
    pair = next(p for p in (data[n] for n in range(20)) if len(p.layers) == 3)

    def colour(layer):
        return layer.patch[layer.patch[..., 3] == 255][:, :3].mean(axis=0)

    assert np.abs(colour(pair.layers[1]) - colour(pair.layers[2])).max() < 3


def test_weights_of_sources_are_shares_of_pairs(items):
    second = [dataclasses.replace(i, source="davis", collection="davis") for i in items]
    data = PairDataset([*items, *second], {"stills": 1.0, "davis": 3.0}, FULL, 0, 10)
    shares = dict(zip(data.names, data.shares, strict=True))
    assert shares["davis", "davis"] == pytest.approx(0.75)
    assert shares["stills", "shapes"] > shares["stills", "video_clips"] > 0.02
    with pytest.raises(DataError, match="no object"):
        PairDataset([], {}, FULL, 0, 1)
    with pytest.raises(DataError, match="background"):
        dataset([dataclasses.replace(i, background=False) for i in items])


def test_light_leaves_crops_alone_where_nothing_is_asked():
    image = torch.randint(0, 256, (2, 3, 32, 32)).float()
    light = draw_light(np.random.default_rng(0), DARK)
    assert torch.equal(apply_light(image, pack_lights([light, light]), NoiseBank()), image.to(torch.uint8))
    patch = np.random.default_rng(0).integers(0, 256, (40, 40, 5), np.uint8)
    assert degrade(patch, light) is patch


@pytest.mark.parametrize("name", ["brightness", "tint", "offset", "gamma", "colour", "blur", "noise"])
def test_each_kind_of_light_changes_the_crop(name):
    image = torch.randint(30, 220, (1, 3, 48, 48), generator=torch.Generator().manual_seed(0)).float()
    config = dataclasses.replace(
        DARK, **{name: 12.0 if name == "offset" else 0.5 if name in ("brightness", "tint", "gamma") else 1.0}
    )
    light = draw_light(np.random.default_rng(3), config)
    changed = apply_light(image, pack_lights([light]), NoiseBank())
    assert (changed.float() - image).abs().mean() > 1
    if name == "blur":
        assert light.kernel.sum() == pytest.approx(1)
        assert changed.float().std() < image.std()


@pytest.mark.parametrize("name", ["low_resolution", "jpeg"])
def test_degraded_patches_keep_their_masks(name):
    patch = np.random.default_rng(0).integers(0, 256, (64, 64, 5), np.uint8)
    changed = degrade(patch, draw_light(np.random.default_rng(1), dataclasses.replace(DARK, **{name: 1.0})))
    assert changed.shape == patch.shape and np.array_equal(changed[..., 3:], patch[..., 3:])
    assert np.abs(changed[..., :3].astype(int) - patch[..., :3]).mean() > 1


def test_schedules_are_as_published_and_keep_their_shape_when_shortened():
    published = SCHEDULES["published"]
    assert (published.iterations, published.batch, published.epoch) == (40_000, 64, 1_000)
    assert (published.optimizer, published.learning_rate, published.step_iterations, published.step_factor) == (
        "adam",
        1e-3,
        15_000,
        0.2,
    )
    short = published.shortened(4_000)
    assert (short.iterations, short.step_iterations, short.epoch) == (4_000, 1_500, 1_000)
    assert SCHEDULES["quick"].shortened(50).warmup == 5
    pairs = PairConfig.published()
    assert (pairs.search_shift, pairs.search_scale, pairs.location_shift, pairs.box_on_itself) == (
        0.75,
        0.25,
        0.125,
        0.005,
    )
    assert pairs.light == LightConfig(0.2, 0, 0, 0, 0, 0, 0, 0, 0, 0) and pairs.lookalike == 0
    assert published.pairs == pairs


def test_mild_pairs_lie_between_the_published_and_the_full_ones():
    mild, full, published = PairConfig.mild(), PairConfig(), PairConfig.published()
    assert (mild.size, mild.max_gap, mild.rotation) == (full.size, full.max_gap, full.rotation)  # which do not differ
    assert mild.box_on_itself == full.box_on_itself and mild.part == full.part  # kept whole
    for name in ("lookalike", "exit", "location_shift"):
        low, high = getattr(published, name), getattr(full, name)
        assert getattr(mild, name) == pytest.approx(low + 0.3 * (high - low))
    assert published.light.jpeg < mild.light.jpeg < full.light.jpeg
    assert SCHEDULES["quick"].pairs == mild
