"""Class names: aliases, canonical order, and names that are asked for."""

import pytest

from ferhpo.data.names import canonical, common, encode, known, ordered, split_name
from ferhpo.errors import DataError


@pytest.mark.parametrize(
    ("name", "is_called"), [("Anger", "angry"), (" happiness ", "happy"), ("natural", "neutral"), ("Zebra", "Zebra")]
)
def test_an_expression_has_one_name(name: str, is_called: str) -> None:
    assert canonical(name) == is_called


def test_labels_are_by_name_whatever_the_order() -> None:
    labels, classes = encode(["Neutral", "anger", "contempt", "angry", "happiness"])
    assert classes == ("angry", "happy", "neutral", "contempt")
    assert [classes[i] for i in labels] == ["neutral", "angry", "contempt", "angry", "happy"]


def test_one_other_name_leaves_all_as_they_are() -> None:
    assert encode(["happiness", "zebra", "Anger"])[1] == ("Anger", "happiness", "zebra")


def test_numbers_are_names_of_their_own() -> None:
    assert encode(["2", "0"])[1] == ("0", "2")


def test_names_that_look_alike_are_one_class() -> None:
    labels, classes = encode(["zo\u00eb", "zoe\u0308", "ann"])
    assert (labels.tolist(), classes) == ([1, 1, 0], ("ann", "zo\u00eb"))
    assert known(["zoe\u0308"], classes) == ("zo\u00eb",)
    assert known(["zo\u00eb"], ("zoe\u0308",)) == ("zoe\u0308",), "as a set has it that was prepared so"


def test_common_classes_are_in_canonical_order() -> None:
    assert common(("neutral", "contempt", "angry"), ("angry", "happy", "neutral")) == ("angry", "neutral")
    assert common(("b", "a", "c"), ("c", "b")) == ("b", "c")
    assert ordered(["sad", "angry", "sad"]) == ("angry", "sad")


def test_classes_that_are_asked_for_may_be_aliases() -> None:
    assert known(["Sadness", "anger"], ("angry", "happy", "sad")) == ("angry", "sad")
    with pytest.raises(DataError, match=r"must be in the data, got 'hapy'; did you mean 'happy'\?"):
        known(["hapy"], ("angry", "happy"))


def test_a_split_needs_a_known_name() -> None:
    assert split_name("PublicTest", "x") == "PublicTest"
    with pytest.raises(DataError, match=r"x: a split must have a known name, got 'tests'; did you mean 'test'"):
        split_name("tests", "x")
