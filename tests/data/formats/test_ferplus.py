"""FER+: votes by row, the published rules, and files that do not belong together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.data.formats import ferplus
from ferhpo.data.load import detect
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import NO_CSV, faces, row, spoilt, write_csv

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
PLAIN = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")  # FER-2013's codes, FER+'s names
USAGES = ["Training", "Training", "Training", "PublicTest", "PrivateTest"]
VOTES = [
    "6,1,0,3,0,0,0,0,0,0",
    "0,0,0,0,0,0,0,0,0,10",
    "0,4,6,0,0,0,0,0,0,0",
    "0,0,0,0,5,5,0,0,0,0",
    "0,0,0,0,0,0,0,9,1,0",
]


def write(folder: Path, names: list[str] | None = None) -> Path:
    """Write five images and their votes; names lag behind the row numbers, as in the published file."""
    write_csv(folder / "fer2013.csv", (row(3, usage, seed=i) for i, usage in enumerate(USAGES)))
    names = names or ["fer0000000.png", "", "fer0000001.png", "fer0000002.png", "fer0000003.png"]
    lines = (f"{usage},{name},{votes}" for usage, name, votes in zip(USAGES, names, VOTES, strict=True))
    return write_csv(folder / "fer2013new.csv", lines, header=HEADER)


def test_the_majority_has_more_than_half_of_the_votes(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert detect(DataSpec(), path) == "ferplus"
    raw = ferplus.read(path, DataSpec())
    assert raw.classes == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
    assert [raw.classes[i] for i in raw.labels] == ["neutral", "surprise", "contempt"]
    assert raw.soft is None


def test_rows_belong_together_by_their_place_whatever_the_names_say(tmp_path: Path) -> None:
    raw = ferplus.read(write(tmp_path), DataSpec())
    assert (raw.images == np.concatenate([faces(1, seed=i) for i in (0, 2, 4)])).all()
    assert raw.part.tolist() == ["Training", "Training", "PrivateTest"]


def test_shares_leave_out_single_votes_and_sum_to_one(tmp_path: Path) -> None:
    raw = ferplus.read(write(tmp_path), DataSpec(labels="soft"))
    assert raw.soft is not None
    shares = [dict(zip(raw.classes, one, strict=True)) for one in raw.soft.tolist()]
    assert shares[0]["neutral"] == pytest.approx(2 / 3)
    assert shares[0]["sad"] == pytest.approx(1 / 3)
    assert shares[2] == {name: 0.5 * (name in {"angry", "disgust"}) for name in raw.classes}
    assert np.allclose(raw.soft.sum(1), 1)


PUBLISHED = [  # votes -> majority, soft; as the rule of the paper's own code gives them
    ([4, 0, 0, 1, 3, 2, 0, 0, 0, 0], {}, {0: 4 / 7, 4: 3 / 7}),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], {}, {}),
    ([0, 0, 0, 0, 0, 0, 0, 0, 6, 4], {}, {}),
    ([5, 0, 0, 0, 0, 0, 0, 0, 5, 0], {}, {}),
    ([6, 0, 0, 0, 0, 0, 0, 0, 4, 0], {0: 1.0}, {0: 1.0}),
    ([4, 0, 0, 0, 0, 0, 0, 0, 4, 2], {}, {}),
    ([2, 2, 2, 2, 2, 0, 0, 0, 0, 0], {}, {}),
    ([3, 3, 3, 0, 0, 0, 0, 0, 0, 1], {}, {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
    ([8, 2, 0, 0, 0, 0, 0, 0, 0, 0], {0: 1.0}, {0: 1.0}),
]


@pytest.mark.parametrize(("votes", "one", "shares"), PUBLISHED)
def test_the_rules_are_the_published_ones(votes: list[int], one: dict[int, float], shares: dict[int, float]) -> None:
    assert ferplus.majority(np.array(votes)).tolist() == [one.get(i, 0) for i in range(8)]
    assert ferplus.soft(np.array(votes)).tolist() == pytest.approx([shares.get(i, 0) for i in range(8)])


@given(st.lists(st.integers(0, 10), min_size=10, max_size=10))
def test_shares_sum_to_one_or_nothing_and_favour_what_has_most_votes(votes: list[int]) -> None:
    shares = ferplus.soft(np.array(votes))
    assert shares.sum() == pytest.approx(1) or not shares.any()
    if shares.any():
        assert votes[int(shares.argmax())] == max(votes[:8])
        assert (shares > 0).sum() <= 3


def test_the_images_may_lie_elsewhere(tmp_path: Path) -> None:
    path = write(tmp_path)
    moved = (tmp_path / "fer2013.csv").rename(tmp_path / "faces.csv")
    with pytest.raises(DataError, match=r"votes need the images of fer2013.csv, got none at .*set images in \[data\]"):
        ferplus.read(path, DataSpec())
    assert len(ferplus.read(path, DataSpec(images=str(moved))).labels) == 3


def test_a_csv_of_the_first_rows_alone_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path)
    write_csv(tmp_path / "fer2013.csv", (row(3, usage, seed=i) for i, usage in enumerate(USAGES[:3])))
    assert ferplus.read(path, DataSpec()).part.tolist() == ["Training", "Training"]


def many(folder: Path, order: np.ndarray) -> Path:
    """Write 600 rows whose votes are unanimous for the label, the images in another order."""
    labels = np.random.default_rng(0).integers(0, 7, 600)
    write_csv(folder / "fer2013.csv", (row(label, pixels=" ".join(["7"] * 2304)) for label in labels[order]))
    columns = [ferplus.EXPRESSIONS.index(name) for name in PLAIN]
    votes = [",".join("10" if i == columns[label] else "0" for i in range(10)) for label in labels]
    return write_csv(folder / "fer2013new.csv", (f"Training,x.png,{vote}" for vote in votes), header=HEADER)


def test_votes_of_other_images_are_refused_where_no_usage_tells(tmp_path: Path) -> None:
    assert len(ferplus.read(many(tmp_path, np.arange(600)), DataSpec()).labels) == 600
    path = many(tmp_path, np.roll(np.arange(600), 1))
    with pytest.raises(
        DataError, match=r"votes and labels of one row must be alike, got \d+% of them alike in rows 0 to"
    ):
        ferplus.read(path, DataSpec())


@pytest.mark.parametrize("usages", [["PublicTest", *USAGES[1:]], [*USAGES, "PrivateTest"]])
def test_files_of_other_rows_are_refused(tmp_path: Path, usages: list[str]) -> None:
    path = write(tmp_path)
    write_csv(tmp_path / "fer2013.csv", (row(3, usage, seed=i) for i, usage in enumerate(usages)))
    with pytest.raises(DataError, match="votes and images must be of the same rows"):
        ferplus.read(path, DataSpec())


@pytest.mark.parametrize("vote", ["x", "9" * 30])
def test_a_broken_vote_is_named_with_its_line(tmp_path: Path, vote: str) -> None:
    path = write(tmp_path)
    path.write_text(path.read_text().replace("0,0,0,0,5,5", f"0,0,{vote},0,5,5"))
    with pytest.raises(DataError, match=r"fer2013new.csv:5: votes must be whole numbers"):
        ferplus.read(path, DataSpec())


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_text(HEADER + "\n")
    with pytest.raises(DataError, match="must have rows below its header"):
        ferplus.read(path, DataSpec())


def test_votes_that_give_nobody_a_label_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="some image must have a label by its votes, got none in 5 rows"):
        ferplus.read(write(tmp_path, ["", "", "", "", ""]), DataSpec())


@pytest.mark.parametrize(("content", "message"), NO_CSV)
def test_a_file_of_votes_that_is_no_csv_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = spoilt(write(tmp_path), content)
    with pytest.raises(DataError, match=f"fer2013new.csv:7: {message}"):
        ferplus.read(path, DataSpec())
