from collections.abc import Callable

import pytest
import torch

from ferhpo.data.cache import Prepared
from ferhpo.errors import DataError
from ferhpo.space.config import TrialConfig
from ferhpo.training.feed import Feed
from ferhpo.training.images import Preprocessing


def feed(data: Prepared, config: TrialConfig) -> Feed:
    size, channels = data.images.shape[1], data.images.shape[3]
    preprocessing = Preprocessing(
        stored_size=size, image_size=config.image_size, channels=channels, mean=data.mean, std=data.std, mirror=False
    )
    return Feed(config, data, preprocessing, "cpu", torch.channels_last)


def test_a_pass_shows_every_row_once_but_for_a_last_single_one(
    make_data: Callable[..., Prepared], tiny: TrialConfig
) -> None:
    assert [len(x) for x, _ in feed(make_data(train=50), tiny).batches(1)] == [16, 16, 16, 2]
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


def test_another_pass_follows_while_it_is_asked_for(data: Prepared, tiny: TrialConfig) -> None:
    answers = iter([True, True, False])
    assert len(list(feed(data, tiny).batches(1, lambda: next(answers)))) == 12


def test_mixup_mixes_image_and_target_by_the_same_share(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    data = make_data(train=30)
    config = tiny.with_params({"batch_size": 30})
    plain, hard = next(feed(data, config).batches(1))
    mixed, soft = next(feed(data, config.with_params({"mixup": 1.0})).batches(1))
    share = ((mixed - plain.roll(1, 0)) / (plain - plain.roll(1, 0))).flatten(1).nanmedian(1).values
    assert torch.allclose(soft, share[:, None] * hard + (1 - share[:, None]) * hard.roll(1, 0), atol=1e-3)
    assert float(share.std()) > 0.1


def test_a_class_without_train_rows_is_refused_by_name(
    data: Prepared, tiny: TrialConfig, without: Callable[[Prepared, str], Prepared]
) -> None:
    with pytest.raises(DataError, match="every class needs a training image, b has none"):
        feed(without(data, "b"), tiny)


def test_a_single_row_is_refused(make_data: Callable[..., Prepared], tiny: TrialConfig) -> None:
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        feed(make_data(train=1, classes=1), tiny)
