import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError
from ferhpo.space.config import TrialConfig
from ferhpo.training import images
from ferhpo.training.feed import Feed
from ferhpo.training.images import Preprocessing


def feed(data: Prepared, config: TrialConfig, teacher: torch.Tensor | None = None) -> Feed:
    size, channels = data.images.shape[1], data.images.shape[3]
    preprocessing = Preprocessing(
        stored_size=size, image_size=config.image_size, channels=channels, mean=data.mean, std=data.std, mirror=False
    )
    return Feed(config, data, preprocessing, "cpu", torch.channels_last, teacher)


def test_a_pass_shows_every_row_once_but_for_a_last_single_one(
    make_data: Callable[..., Prepared], tiny: TrialConfig
) -> None:
    one = feed(make_data(train=50), tiny)
    assert sorted(one._order(0).tolist()) == list(range(50))
    assert [len(x) for x, _ in one.batches(1)] == [16, 16, 16, 2]
    assert [len(x) for x, _ in feed(make_data(train=49), tiny).batches(1)] == [16, 16, 16]


def test_steps_counts_the_batches_of_a_pass(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    for rows in (48, 49, 50):
        one = feed(make_data(train=rows), tiny)
        assert one.steps == len(list(one.batches(1)))


def test_a_batch_beyond_the_data_is_the_data(data: Prepared, tiny: TrialConfig) -> None:
    one = feed(data, tiny.with_params({"batch_size": 4096}))
    assert one.batch == 50
    assert [len(x) for x, _ in one.batches(1)] == [50]


def test_batches_are_normalised_with_targets_that_sum_to_one(data: Prepared, tiny: TrialConfig) -> None:
    x, targets = next(feed(data, tiny.with_params({"batch_size": 50})).batches(1))
    assert float(x.mean()) == pytest.approx(0, abs=1e-4)
    assert float(x.std()) == pytest.approx(1, abs=1e-2)
    assert torch.equal(targets.sum(1), torch.ones(50))


def test_order_differs_by_epoch_and_repeats_by_seed(data: Prepared, tiny: TrialConfig) -> None:
    first = [t.argmax(1).tolist() for _, t in feed(data, tiny).batches(1)]
    assert first == [t.argmax(1).tolist() for _, t in feed(data, tiny).batches(1)]
    assert first != [t.argmax(1).tolist() for _, t in feed(data, tiny).batches(2)]
    assert first != [t.argmax(1).tolist() for _, t in feed(data, tiny.with_params({"seed": 1})).batches(1)]


def rare(make_data: Callable[..., Prepared], keep: int = 4) -> Prepared:
    """Leave a few training rows of the last class."""
    data = make_data(train=51)
    split = data.split.copy()
    split[np.flatnonzero((data.labels == 2) & (split == 0))[keep:]] = -1
    return replace(data, split=split)


def test_smote_fills_a_rare_class_with_new_images_between_its_own(
    make_data: Callable[..., Prepared], tiny: TrialConfig
) -> None:
    data = rare(make_data)
    one = feed(data, tiny.with_params({"sampling": "smote"}))
    assert one.steps == len(list(one.batches(1)))
    batches = list(one.batches(1))
    x, labels = torch.cat([x for x, _ in batches]), torch.cat([t for _, t in batches]).argmax(1)
    assert labels.bincount().tolist() == [17, 17, 17]
    pixels = (x[labels == 2] * data.std[0] + data.mean[0]).flatten(1) * 255
    rows = data.part("train").rows[data.part("train").labels == 2]
    own = torch.from_numpy(data.images[rows].astype(np.float32)).flatten(1)
    near = torch.cdist(pixels, own).amin(1) < 0.1
    assert int(near.sum()) == 4, "each of its images once, the others are new"
    low, high = own.amin(0) - 0.1, own.amax(0) + 0.1
    assert bool(((pixels >= low) & (pixels <= high)).all())
    assert torch.equal(x, torch.cat([x for x, _ in one.batches(1)])), "the seed decides"
    assert not torch.equal(x, torch.cat([x for x, _ in one.batches(2)]))


def test_smote_blends_the_teachers_word_and_peoples_shares_as_it_blends_images(
    make_data: Callable[..., Prepared], tiny: TrialConfig
) -> None:
    data = rare(make_data, 2)
    shares = np.zeros((len(data.labels), 3), np.float32)
    shares[np.arange(len(shares)), data.labels] = 1
    first, second = data.part("train").rows[data.part("train").labels == 2]
    shares[first], shares[second] = (0, 0.2, 0.8), (0.4, 0, 0.6)
    teacher = torch.from_numpy(shares[data.part("train").rows])
    one = feed(replace(data, soft=shares), tiny.with_params({"sampling": "smote", "distill": 0.5}), teacher)
    targets = torch.cat([t for _, t in one.batches(1)])
    assert torch.allclose(targets.sum(2), torch.ones(len(targets), 2))
    assert torch.equal(targets[:, 0], targets[:, 1])
    blended = targets[:, 0][(targets[:, 0, :2] > 0).all(1)]
    assert torch.allclose(blended[:, 0] / 0.4 + blended[:, 1] / 0.2, torch.ones(len(blended)), atol=1e-5)
    assert len(blended) == 15


def test_rows_that_are_read_ahead_give_the_same_batches(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny.with_params({"augment": 1.0, "mixup": 0.4})

    def two_passes() -> list[tuple[torch.Tensor, torch.Tensor]]:
        answers = iter([True, False])
        return list(feed(data, config).batches(1, lambda: next(answers)))

    plain = two_passes()
    monkeypatch.setattr(images, "CACHED_SHARE", 0)
    streamed = two_passes()
    assert len(plain) == 8
    for (x, targets), (want, wanted) in zip(streamed, plain, strict=True):
        assert torch.equal(x, want)
        assert torch.equal(targets, wanted)


def test_an_epoch_that_is_broken_off_leaves_no_thread(
    data: Prepared, tiny: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "CACHED_SHARE", 0)
    before = threading.active_count()
    batches = feed(data, tiny).batches(1)
    next(batches)
    assert threading.active_count() == before + 1
    del batches
    assert threading.active_count() == before


def test_another_pass_follows_while_it_is_asked_for(data: Prepared, tiny: TrialConfig) -> None:
    answers = iter([True, True, False])
    assert len(list(feed(data, tiny).batches(1, lambda: next(answers)))) == 12


def test_batches_come_at_the_size_that_is_asked_for(data: Prepared, tiny: TrialConfig) -> None:
    sizes = [8, 8, 12, 16, 8, 8, 8, 8]
    answers = iter([True, False])
    batches = feed(data, tiny.with_params({"augment": 0.5})).batches(1, lambda: next(answers), iter(sizes).__next__)
    assert [x.shape[2:] for x, _ in batches] == [(s, s) for s in sizes]


def test_mixup_mixes_image_and_target_by_the_same_share(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    data = make_data(train=30)
    config = tiny.with_params({"batch_size": 30})
    plain, hard = next(feed(data, config).batches(1))
    mixed, soft = next(feed(data, config.with_params({"mixup": 1.0})).batches(1))
    share = ((mixed - plain.roll(1, 0)) / (plain - plain.roll(1, 0))).flatten(1).nanmedian(1).values
    assert torch.allclose(soft, share[:, None] * hard + (1 - share[:, None]) * hard.roll(1, 0), atol=1e-3)
    assert float(share.std()) > 0.1


@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_a_teachers_rows_stand_beside_their_labels_and_are_mixed_as_they_are(
    data: Prepared, tiny: TrialConfig, mixup: float
) -> None:
    config = tiny.with_params({"mixup": mixup})
    turned = torch.eye(3)[(torch.from_numpy(data.part("train").labels) + 1) % 3]
    for (x, targets), (plain, both) in zip(
        feed(data, config).batches(1), feed(data, config, turned).batches(1), strict=True
    ):
        assert torch.equal(x, plain)
        assert torch.equal(both[:, 0], targets)
        assert torch.allclose(both[:, 1], targets.roll(1, 1))


def test_a_class_without_train_rows_is_refused_by_name(
    data: Prepared, tiny: TrialConfig, without: Callable[[Prepared, str], Prepared]
) -> None:
    with pytest.raises(DataError, match="every class needs a training image, b has none"):
        feed(without(data, "b"), tiny)


def test_a_single_row_is_refused(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        feed(make_data(train=1, classes=1), tiny)


@pytest.mark.parametrize("sampling", ["oversample", "undersample", "balanced"])
def test_sampling_shows_classes_equally_often_and_steps_counts_its_batches(
    make_data: Callable[..., Prepared], tiny: TrialConfig, sampling: str
) -> None:
    data = make_data(train=50)
    labels = np.array(data.labels)
    rows = np.flatnonzero(data.split == 0)
    labels[rows] = np.where(np.arange(50) % 10 == 0, 1, 0)
    labels[rows[1]] = 2
    data = replace(data, labels=labels, classes=data.classes[:3])
    one = feed(data, tiny.with_params({"sampling": sampling, "batch_size": 3}))
    seen = torch.cat([targets for _, targets in one.batches(1)])
    assert one.steps == len(list(one.batches(1)))
    assert int(seen.sum(0).max() - seen.sum(0).min()) <= 1
    assert int(seen.sum()) == {"oversample": 44 * 3, "undersample": 3, "balanced": 50}[sampling] - (len(seen) % 3 == 1)
    if sampling == "balanced":
        assert all(torch.equal(t.sum(0), torch.ones(3)) for _, t in one.batches(1) if len(t) == 3)


def test_soft_labels_are_the_targets_where_there_are_some(data: Prepared, tiny: TrialConfig) -> None:
    soft = np.random.default_rng(0).dirichlet(np.ones(len(data.classes)), len(data.labels)).astype(np.float32)
    one = feed(replace(data, soft=soft), tiny.with_params({"batch_size": 50}))
    _, targets = next(one.batches(1))
    want = soft[data.part("train").rows]
    assert sorted(targets[:, 0].tolist()) == sorted(want[:, 0].tolist())
    assert torch.allclose(targets.sum(1), torch.ones(50))
