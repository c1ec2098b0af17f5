"""The split: by content alone, in whole groups, near its shares, and nothing in two places."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferhpo.data.raw import RawData
from ferhpo.data.splits import DROPPED, TEST, TRAIN, VAL, assign, groups
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import faces, raw
from tests.data.test_near import smooth

SPEC = DataSpec()
KAGGLE = ("Training", "PublicTest", "PrivateTest")


def taken(one: RawData, rows: np.ndarray) -> RawData:
    return replace(one, images=one.images[rows], labels=one.labels[rows], part=one.part[rows])


@st.composite
def sets(draw: st.DrawFn, names: tuple[str, ...] = ("",)) -> RawData:
    """Three classes of 30 rows and more, with duplicates of 1 to 5 rows, some under another label."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    unique = draw(st.integers(90, 200))
    extra = draw(st.integers(0, 60))
    picked = np.concatenate([np.arange(unique), rng.integers(0, unique, extra)])
    labels = picked % 3
    labels[unique:] = np.where(rng.random(extra) < 0.2, rng.integers(0, 3, extra), labels[unique:])
    part = np.array(names)[rng.integers(0, len(names), len(picked))]
    order = rng.permutation(len(picked))
    images = rng.integers(0, 256, (unique, 4, 4, 1), dtype=np.uint8)[picked]
    return taken(raw(labels.tolist(), part.tolist(), images), order)


def assert_sound(one: RawData) -> None:
    """What must hold for any set."""
    splits = assign(one, SPEC)
    for group in range(splits.group.max() + 1):
        where = set(splits.split[splits.group == group].tolist()) - {DROPPED}
        assert len(where) == 1
    assert sum(splits.dropped.values()) == (splits.split == DROPPED).sum()
    assert {TRAIN, VAL, TEST} <= set(splits.split.tolist())


@settings(max_examples=30, deadline=None)
@given(sets())
def test_a_single_tree_is_split_in_whole_groups(one: RawData) -> None:
    assert_sound(one)
    assert assign(one, SPEC).dropped == {"train_in_val": 0, "train_in_test": 0, "val_in_test": 0}


@settings(max_examples=20, deadline=None)
@given(sets(("Training", "PublicTest", "PrivateTest", "Training", "Training")))
def test_no_image_of_three_given_splits_stands_in_two(one: RawData) -> None:
    assert_sound(one)


@settings(max_examples=20, deadline=None)
@given(sets(("train", "train", "train", "test")))
def test_no_image_of_two_given_splits_stands_in_two(one: RawData) -> None:
    assert_sound(one)


@settings(max_examples=30, deadline=None)
@given(sets())
def test_shares_are_near_what_was_asked_for_in_every_class(one: RawData) -> None:
    splits = assign(one, SPEC)
    largest = np.bincount(splits.group).max()
    for code in (VAL, TEST):
        for c in range(3):
            of_class = one.labels == c
            wanted = 0.12 * of_class.sum()
            strangers = sum(len(set(one.labels[splits.group == g])) > 1 for g in set(splits.group[of_class]))
            assert abs((splits.split[of_class] == code).sum() - wanted) <= largest * (1 + strangers)


@settings(max_examples=30, deadline=None)
@given(sets(("", "Training", "test")), st.integers(0, 2**32))
def test_another_row_order_gives_every_image_the_same_split(one: RawData, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(one.labels))
    here, there = assign(one, SPEC), assign(taken(one, order), SPEC)
    assert (here.split[order] == there.split).all()
    assert (here.group[order] == there.group).all()
    assert here.dropped == there.dropped


def test_no_random_number_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    one = raw(list(range(3)) * 40)
    monkeypatch.setattr(np, "random", None)
    assert (assign(one, SPEC).split == assign(one, SPEC).split).all()


def test_a_split_is_the_same_on_every_machine_and_in_every_version() -> None:
    splits = assign(raw([0, 1] * 20), SPEC)
    assert np.flatnonzero(splits.split == TEST).tolist() == [10, 13, 26, 37]
    assert np.flatnonzero(splits.split == VAL).tolist() == [2, 4, 9, 11, 25, 30]


def test_people_with_many_images_train_as_often_as_those_with_one() -> None:
    """Whoever has k images has the smallest of k hashes: taken in their order, large groups would validate and test."""
    sizes = np.random.default_rng(0).choice([1, 16], 600, p=[0.7, 0.3])
    people = np.repeat(np.arange(600), sizes)
    labels = np.random.default_rng(1).integers(0, 3, len(people))
    splits = assign(replace(raw(labels.tolist()), group=people), DataSpec(val=0.2, test=0.2))
    alone = (sizes == 1)[people]
    shares = [alone[splits.split == code].mean() for code in (TRAIN, VAL, TEST)]
    assert max(shares) < 2 * min(shares), shares


def test_labels_do_not_leak_into_the_groups() -> None:
    images = faces(4, 4)
    images[3] = images[0]
    found = groups(images)
    assert found[3] == found[0]
    assert sorted(set(found.tolist())) == [0, 1, 2]


def test_three_given_splits_are_kept_and_overlaps_dropped_and_counted() -> None:
    images = faces(12, 4)
    part = ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 3
    images[0] = images[6]  # Training in PublicTest
    images[1] = images[9]  # Training in PrivateTest
    images[7] = images[10]  # PublicTest in PrivateTest
    images[2] = images[7]  # Training in both
    splits = assign(raw([0, 1] * 6, part, images), SPEC)
    assert splits.split.tolist() == [DROPPED] * 3 + [TRAIN] * 3 + [VAL, DROPPED, VAL] + [TEST] * 3
    assert splits.dropped == {"train_in_val": 1, "train_in_test": 2, "val_in_test": 1}


def test_duplicates_within_a_split_stay() -> None:
    images = faces(8, 4)
    images[1] = images[0]
    part = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    assert DROPPED not in assign(raw([0, 1] * 4, part, images), SPEC).split


@pytest.mark.parametrize("second", ["PublicTest", "PrivateTest", "test", "valid"])
def test_with_one_more_split_that_one_is_the_test_and_a_share_of_training_validates(second: str) -> None:
    part = ["Training"] * 100 + [second] * 20
    splits = assign(raw([0, 1] * 60, part), SPEC)
    assert (splits.split[100:] == TEST).all()
    assert (splits.split[:100] == VAL).sum() == 12
    assert (splits.split[:100] == TRAIN).sum() == 88


def test_without_splits_val_and_test_get_their_shares() -> None:
    splits = assign(raw([0, 1] * 100), DataSpec(val=0.1, test=0.3))
    assert np.bincount(splits.split).tolist() == [120, 20, 60]


def test_another_share_for_validation_leaves_the_test_rows_alone() -> None:
    one = raw([0, 1, 2] * 60)
    few, many = assign(one, DataSpec(val=0.05)), assign(one, DataSpec(val=0.3))
    assert ((few.split == TEST) == (many.split == TEST)).all()


@pytest.mark.parametrize("labels", [[0] * 50, [1] * 50])
def test_one_class_alone_is_refused(labels: list[int]) -> None:
    with pytest.raises(DataError, match=f"at least 2 classes are needed, got class{labels[0]} alone"):
        assign(raw(labels), SPEC)


def test_a_class_without_training_images_is_refused() -> None:
    part = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    with pytest.raises(DataError, match=r"every class must have training images, got none left for 'class2'"):
        assign(raw([0, 1, 0, 1, 0, 1, 0, 2], part), SPEC)


def test_a_class_without_any_image_is_refused() -> None:
    one = raw([0, 1] * 30)
    with pytest.raises(DataError, match=r"every class must have training images, got none left for 'nobody'"):
        assign(replace(one, classes=(*one.classes, "nobody")), SPEC)


def test_a_class_that_training_images_write_in_another_case_is_told_their_name() -> None:
    part = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    one = replace(raw([0, 1, 0, 1, 2, 1, 0, 1], part), classes=("Cat", "dog", "cat"))
    with pytest.raises(DataError, match=r"got none left for 'cat'; name it 'Cat', add some, or take the class out"):
        assign(one, SPEC)


def test_a_class_whose_training_images_all_stand_in_the_test_is_refused() -> None:
    images = faces(8, 4)
    images[1] = images[7]
    part = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    with pytest.raises(DataError, match=r"none left for 'class1'"):
        assign(raw([0, 1, 0, 0, 0, 1, 0, 1], part, images), SPEC)


@pytest.mark.parametrize("each", [2, 3, 4, 5, 6])
def test_many_small_classes_are_held_out_by_their_share_of_all_images(each: int) -> None:
    classes = 50
    split = assign(raw(list(range(classes)) * each), SPEC).split
    for code in (VAL, TEST):
        assert (split == code).sum() == pytest.approx(0.12 * classes * each, abs=1)
    assert len(set(np.flatnonzero(split == TRAIN) % classes)) == classes, "every class trains"
    order = np.random.default_rng(0).permutation(classes * each)
    again = assign(taken(raw(list(range(classes)) * each), order), SPEC).split
    assert (again == split[order]).all()


def test_a_person_of_five_validates_and_one_tests() -> None:
    one = replace(raw(list(range(7)) * 10), group=np.arange(70) // 14)
    assert sorted(np.bincount(assign(one, SPEC).split).tolist()) == [14, 14, 42]


def test_where_a_share_is_too_small_the_key_that_raises_it_is_named() -> None:
    people = replace(raw([0, 1] * 8), group=np.arange(16) // 4)
    with pytest.raises(DataError, match=r"none left for val from 16 rows \(one tree\); add images, or raise val in"):
        assign(people, SPEC)
    assert set(assign(people, DataSpec(val=0.2, test=0.2)).split.tolist()) == {TRAIN, VAL, TEST}


def test_of_a_set_that_only_trains_what_is_called_train_is_taken_and_no_more_is_needed() -> None:
    few = raw([0, 1] * 4, "train")
    assert set(assign(few, SPEC, trains=True).split.tolist()) == {TRAIN}
    images = faces(100, 4)
    images[0] = images[99]
    split = assign(raw([0, 1] * 50, ["train"] * 80 + ["test"] * 20, images), SPEC, trains=True).split
    assert split.tolist() == [DROPPED] + [TRAIN] * 79 + [TEST] * 20
    with pytest.raises(DataError, match="none left for train"):
        assign(raw([0, 1] * 4, "test"), SPEC, trains=True)


def test_test_rows_alone_are_refused() -> None:
    with pytest.raises(DataError, match=r"got none left for train from 4 rows \(test\); add images"):
        assign(raw([0, 1, 0, 1], "test"), SPEC)


def test_too_few_images_for_a_validation_are_refused() -> None:
    with pytest.raises(DataError, match=r"got none left for val from 4 rows \(one tree\)"):
        assign(raw([0, 1, 0, 1]), SPEC)


def test_validation_rows_that_all_stand_in_the_test_are_not_made_up_for() -> None:
    images = faces(6, 4)
    images[4] = images[5]
    with pytest.raises(DataError, match=r"none left for val"):
        assign(raw([0, 1, 0, 1, 0, 0], ["train"] * 4 + ["val", "test"], images), SPEC)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_rows_that_belong_together_stay_in_one_split(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 60, 150)
    images = rng.integers(0, 256, (150, 4, 4, 1), dtype=np.uint8)
    images[100:110] = images[:10]  # and identical images of two people bind them
    one = replace(raw(rng.integers(0, 3, 150).tolist(), images=images), group=people)
    splits = assign(one, SPEC)
    assert all(len(set(splits.split[people == person].tolist())) == 1 for person in set(people.tolist()))
    assert (splits.split[100:110] == splits.split[:10]).all()
    assert (splits.group[100:110] == splits.group[:10]).all()
    order = rng.permutation(150)
    again = assign(replace(taken(one, order), group=people[order]), SPEC)
    assert (again.split == splits.split[order]).all()


def test_near_duplicates_are_dropped_where_asked() -> None:
    images = smooth(60)
    part = ["train"] * 40 + ["val"] * 10 + ["test"] * 10
    images[0] = images[45] * 0.8  # a training image, nearly in validation
    images[1] = images[55] * 0.8  # and one nearly in the test
    images[41] = images[56] * 0.8  # a validation image nearly in the test
    one = raw([0, 1] * 30, part, images)
    assert DROPPED not in assign(one, SPEC).split
    splits = assign(one, DataSpec(drop_leaks=True))
    assert np.flatnonzero(splits.split == DROPPED).tolist() == [0, 1, 41]
    assert {key: n for key, n in splits.dropped.items() if n} == {
        "train_near_val": 1,
        "train_near_test": 1,
        "val_near_test": 1,
    }


def test_near_duplicates_are_held_out_together_where_a_split_is_made() -> None:
    images = smooth(120)
    images[60:] = images[:60] * 0.8
    splits = assign(raw([0, 1] * 60, images=images), DataSpec(drop_leaks=True))
    assert (splits.split[:60] == splits.split[60:]).all()
    assert DROPPED not in splits.split


def test_blank_images_are_dropped_from_training_alone_where_asked() -> None:
    images = faces(60, 4)
    images[[3, 59]] = [[[7]]], [[[9]]]
    one = raw([0, 1] * 30, ["train"] * 40 + ["val"] * 10 + ["test"] * 10, images)
    assert DROPPED not in assign(one, SPEC).split
    splits = assign(one, DataSpec(drop_blank=True))
    assert np.flatnonzero(splits.split == DROPPED).tolist() == [3]
    assert splits.dropped["blank"] == 1
