"""Sets side by side: common classes by name, the others' training rows, and nothing that leaks."""

from dataclasses import replace

import numpy as np
import pytest

from ferhpo.data.join import joined, taken, with_classes
from ferhpo.data.raw import RawData
from ferhpo.data.splits import TEST, TRAIN, VAL, assign
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import faces, raw

SPEC = DataSpec(val=0.2, test=0.2)


def named(classes: tuple[str, ...], count: int, part: str | list[str] = "", seed: int = 0) -> RawData:
    labels = [i % len(classes) for i in range(count)]
    return replace(raw(labels, part, faces(count, 4, seed=seed)), classes=classes)


def test_classes_are_kept_by_name() -> None:
    kept = with_classes(named(("happy", "sad", "neutral"), 9), ("neutral", "happy"))
    assert kept.classes == ("neutral", "happy")
    assert kept.labels.tolist() == [1, 0] * 3


def test_shares_of_the_classes_that_stay_sum_to_one() -> None:
    soft = np.array([[0.5, 0.25, 0.25], [0.4, 0.2, 0.4]], np.float32)
    kept = with_classes(replace(named(("a", "b", "c"), 2), soft=soft), ("b", "a"))
    assert kept.soft is not None
    assert kept.soft.tolist() == [pytest.approx([1 / 3, 2 / 3])] * 2


def test_some_rows_keep_all_that_belongs_to_them() -> None:
    one = replace(named(("a", "b"), 4), group=np.arange(4), soft=np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])
    part = taken(one, np.array([3, 1]))
    assert (part.images == one.images[[3, 1]]).all()
    assert part.group is not None
    assert part.group.tolist() == [3, 1]
    assert part.soft is not None
    assert part.soft.tolist() == [[0, 1], [0, 1]]


def test_all_train_and_the_first_alone_validates_and_tests() -> None:
    first = named(("angry", "happy"), 40, ["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    other = named(("happy", "sad", "angry"), 60, ["train"] * 30 + ["test"] * 30, seed=1)
    both = joined([first, other], SPEC)
    split = assign(both, SPEC).split
    assert both.classes == ("angry", "happy")
    assert (both.images[:40] == first.images).all()
    assert split[:40].tolist() == [TRAIN] * 20 + [VAL] * 10 + [TEST] * 10
    assert set(split[40:].tolist()) == {TRAIN}
    labels = {
        tuple(image.ravel()): other.classes[label] for image, label in zip(other.images, other.labels, strict=True)
    }
    assert all(
        labels[tuple(i.ravel())] == both.classes[n] for i, n in zip(both.images[40:], both.labels[40:], strict=True)
    )
    held = {tuple(image.ravel()) for image in other.images[30:]}
    assert not held & {tuple(image.ravel()) for image in both.images[40:]}, "what tests there stays out"


def test_a_set_without_splits_validates_and_tests_as_it_would_alone() -> None:
    first = named(("a", "b"), 60)
    alone, both = assign(first, SPEC).split, assign(joined([first, named(("a", "b"), 30, seed=1)], SPEC), SPEC).split
    assert (both[:60] == alone).all()


def test_of_an_added_set_all_rows_that_are_called_training_are_taken() -> None:
    first = named(("a", "b"), 60)
    for count in (8, 60):
        assert len(joined([first, named(("a", "b"), count, "train", seed=1)], SPEC).labels) == 60 + count


def test_an_added_image_that_the_first_holds_out_is_dropped() -> None:
    first = named(("a", "b"), 40, ["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    other = named(("a", "b"), 60, seed=1)
    other.images[:] = np.concatenate([first.images[20:], other.images[20:]])
    splits = assign(joined([first, other], SPEC), SPEC)
    assert splits.dropped["train_in_val"] + splits.dropped["train_in_test"] > 0
    assert splits.split[:40].tolist() == [TRAIN] * 20 + [VAL] * 10 + [TEST] * 10


def test_groups_of_two_sets_stay_apart_and_labels_become_shares() -> None:
    first = replace(named(("a", "b"), 40), group=np.arange(40) // 2)
    other = named(("a", "b"), 30, seed=1)
    both = joined([first, replace(other, soft=np.full((30, 2), 0.5, np.float32))], SPEC)
    assert both.group is not None
    assert not set(both.group[:40].tolist()) & set(both.group[40:].tolist())
    assert both.soft is not None
    assert both.soft[:4].tolist() == [[1, 0], [0, 1]] * 2
    assert (both.soft[40:] == 0.5).all()


def test_a_class_may_be_called_by_an_alias_in_another_set_whose_names_are_plain() -> None:
    first = named(("happy", "l\u00f6we", "sad"), 60)
    other = named(("happy", "lo\u0308we", "sadness", "unknown"), 60, "train", seed=1)
    both = joined([first, other], SPEC)
    assert both.classes == first.classes
    assert len(both.labels) == 60 + 45
    assert both.left_out == {"not_in_common": 15}


def test_sets_without_common_classes_are_refused() -> None:
    with pytest.raises(DataError, match="must have at least 2 classes in common, got a, b and b, c; leave one out"):
        joined([named(("a", "b"), 4), named(("b", "c"), 4)], SPEC)
