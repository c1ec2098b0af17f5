"""Data checks on sets whose faults are known."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

from ferhpo.data.inspect import inspect
from ferhpo.data.problems import problems
from ferhpo.data.raw import RawData
from tests.data.made_up import faces, raw
from tests.data.test_near import smooth


def looked_at(one: RawData) -> dict[str, Any]:
    return inspect(one, problems(one))


def test_every_fault_is_counted() -> None:
    images = faces(8, 4)
    images[1] = images[0]  # a duplicate within Training, other label
    images[5] = images[0]  # and in PublicTest
    images[6] = images[2]  # Training in PrivateTest, same label
    images[3] = 9  # blank
    part = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    found = looked_at(raw([0, 1, 0, 1, 0, 0, 0, 1], part, images))
    assert found["splits"] == {
        "Training": {"rows": 4, "counts": {"class0": 2, "class1": 2}},
        "PublicTest": {"rows": 2, "counts": {"class0": 2, "class1": 0}},
        "PrivateTest": {"rows": 2, "counts": {"class0": 1, "class1": 1}},
    }
    assert found["duplicates"] == 3
    assert found["duplicate_groups"] == 2
    assert found["unique_images"] == 5
    assert found["cross_split_duplicates"] == {
        "Training-PublicTest": 1,
        "Training-PrivateTest": 1,
        "PublicTest-PrivateTest": 0,
    }
    assert found["conflicting_labels"] == 1
    assert found["blank_images"] == 1


def test_near_duplicates_across_splits_are_counted_beside_identical_ones() -> None:
    images = smooth(40)
    images[30] = images[2]
    images[31] = images[3] * 0.8
    images[32] = images[3]  # identical, and nearly the same as another
    found = looked_at(raw([0, 1] * 20, ["train"] * 30 + ["test"] * 10, images))
    assert found["cross_split_duplicates"] == {"train-test": 2}
    assert found["cross_split_near_duplicates"] == {"train-test": 1}
    assert found["near_duplicates"] == 1
    assert found["problems"]["near_duplicates"] == [[3, 31, 32]]


def test_people_who_stand_in_two_splits_are_counted() -> None:
    one = raw([0, 1, 0, 1, 0, 1], ["train"] * 3 + ["test"] * 3)
    assert looked_at(one)["cross_split_groups"] == {}
    people = replace(one, group=np.array([0, 1, 2, 1, 3, 1]))
    assert looked_at(people)["cross_split_groups"] == {"train-test": 2}


def test_the_imbalance_is_the_largest_class_over_the_smallest() -> None:
    assert looked_at(raw([0, 1, 1, 1, 1]))["imbalance"] == 4


def test_a_single_tree_is_one_split_called_all() -> None:
    found = looked_at(raw([0, 1, 1]))
    assert list(found["splits"]) == ["all"]
    assert found["cross_split_duplicates"] == {}


def test_an_image_of_one_colour_is_blank_in_three_channels_too() -> None:
    images = faces(3, 4, 3)
    images[1] = (10, 20, 30)
    assert looked_at(raw([0, 1, 1], images=images))["blank_images"] == 1


def test_the_result_is_plain_json() -> None:
    found = looked_at(raw([0, 1, 1], np.array(["train", "train", "test"]).tolist()))
    assert json.loads(json.dumps(found)) == found
