"""CK+: last frames of labelled sequences, class folders of CK+48, and no person in two splits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.formats import ckplus
from ferhpo.data.load import detect, load
from ferhpo.data.raw import read_image
from ferhpo.data.splits import TRAIN, VAL, assign
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import write_images

SPEC = DataSpec(size=12, val=0.2, test=0.2)
CODES = {1: "angry", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sad", 7: "surprise"}


def release(root: Path) -> Path:
    for code in CODES:
        sequence = f"S{code:03d}/001"
        stems = [f"S{code:03d}_001_{i:08d}" for i in range(1, 6)]
        write_images(root, [f"cohn-kanade-images/{sequence}/{stem}.png" for stem in stems])
        label = root / "Emotion" / sequence / f"{stems[-1]}_emotion.txt"
        label.parent.mkdir(parents=True)
        label.write_text(f"   {code:.7e}\n")
    write_images(root, ["cohn-kanade-images/S999/001/S999_001_00000001.png"])  # a sequence that nobody labelled
    (root / "Emotion/S999/001").mkdir(parents=True)
    return root


def small(root: Path) -> Path:
    """Write 20 people, each with three frames of two expressions; all frames are different images."""
    names = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for person in range(20):
        for take in range(2):
            expression = names[(person + take) % 7]
            stem = f"CK+48/{expression}/S{person:03d}_{take:03d}"
            write_images(root, [f"{stem}_{i:08d}.png" for i in (9, 10, 11)], side=20 + person + 20 * take)
    return root / "CK+48"


def test_the_last_three_frames_of_a_labelled_sequence_have_its_label(tmp_path: Path) -> None:
    assert detect(SPEC, release(tmp_path)) == "ckplus"
    found = ckplus.find(tmp_path)
    assert [file.stem[-1] for file in found.files] == ["3", "4", "5"] * 7
    assert [found.classes[label] for label in found.labels[::3]] == list(CODES.values())


def test_a_sequence_is_one_sample_of_frames_from_its_first_to_its_last(tmp_path: Path) -> None:
    root, spec = release(tmp_path), replace(SPEC, frames=3)
    found, stills = load(spec, root), load(SPEC, root)
    assert found.images.shape == (7, 12, 12, 3)
    assert found.labels.tolist() == stills.labels[::3].tolist()
    assert found.files is not None
    assert [file.stem[-1] for file in found.files] == ["5"] * 7
    frames = [read_image(found.files[0].with_name(f"S001_001_0000000{i}.png"), 12, 1)[..., 0] for i in (1, 3, 5)]
    assert (found.images[0] == np.stack(frames, 2)).all()


def test_of_class_folders_the_frames_of_one_sequence_are_a_sample_and_short_ones_repeat(tmp_path: Path) -> None:
    found = load(replace(SPEC, frames=4, channels=3), small(tmp_path))
    assert found.images.shape == (40, 12, 12, 12)
    assert found.group is not None
    assert len(np.unique(found.group)) == 20
    assert (found.images[..., 3:6] == found.images[..., 6:9]).all() or (
        found.images[..., 0:3] == found.images[..., 3:6]
    ).all()


def test_sequences_of_a_set_that_has_none_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{name}/{i}.png" for name in ("happy", "sad") for i in range(3)])
    with pytest.raises(DataError, match=r'frames = 3 needs a set of sequences .*, got format "folders"; take frames'):
        load(replace(SPEC, frames=3), tmp_path)


def test_class_folders_of_frames_are_grouped_by_person(tmp_path: Path) -> None:
    path = small(tmp_path)
    assert detect(SPEC, path) == "ckplus"
    raw = load(SPEC, path)
    assert raw.group is not None
    assert raw.files is not None
    assert len(set(raw.group.tolist())) == 20
    split = assign(raw, SPEC).split
    people = np.array([file.name[:4] for file in raw.files])
    assert all(len(set(split[people == person].tolist())) == 1 for person in people)
    assert set(split.tolist()) == {0, 1, 2}


def test_people_stay_together_where_the_class_folders_lie_in_split_folders(tmp_path: Path) -> None:
    path = small(tmp_path).rename(tmp_path / "train")
    for expression in ("anger", "happy"):
        write_images(tmp_path, [f"test/{expression}/S{i:03d}_000_00000009.png" for i in range(100, 104)], side=90)
    assert detect(SPEC, tmp_path) == "ckplus"
    raw = load(SPEC, tmp_path)
    assert raw.files is not None
    split = assign(raw, SPEC).split
    people = np.array([file.name[:4] for file in raw.files])
    assert not set(people[split == VAL]) & set(people[split == TRAIN])
    assert path.is_dir()


@pytest.mark.parametrize("name", [".DS_Store", "._S000_000_00000009.png", "Desktop.ini"])
def test_a_file_that_a_system_leaves_beside_the_frames_does_not_part_a_person(tmp_path: Path, name: str) -> None:
    path = small(tmp_path)
    (path / "anger" / name).write_bytes(b"x")
    assert detect(SPEC, path) == "ckplus"
    assert len(load(SPEC, path).labels) == 120


def test_hidden_files_are_no_frames_and_no_annotations(tmp_path: Path) -> None:
    root = release(tmp_path)
    (root / "cohn-kanade-images/S001/001/._S001_001_00000001.png").write_bytes(b"x")
    (root / "Emotion/S001/001/._S001_001_00000005_emotion.txt").write_bytes(b"x")
    assert len(ckplus.find(root).files) == 21
    assert len(ckplus.find(root, every=True).files) == 35


def test_an_annotation_without_frames_is_named(tmp_path: Path) -> None:
    for frame in (release(tmp_path) / "cohn-kanade-images/S003/001").iterdir():
        frame.unlink()
    with pytest.raises(
        DataError, match=r"every annotation needs its images, got none in .*S003/001; unpack them there"
    ):
        ckplus.find(tmp_path)


@pytest.mark.parametrize("text", ["9.0000000e+00", "happy", "inf"])
def test_an_unknown_label_is_named(tmp_path: Path, text: str) -> None:
    next((release(tmp_path) / "Emotion/S003/001").iterdir()).write_text(text)
    with pytest.raises(
        DataError, match=r"S003_001_00000005_emotion.txt:1: a label must be one of 0, 1, .* got '(9|happy|inf)'"
    ):
        ckplus.find(tmp_path)


def test_an_annotation_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    annotation = next((release(tmp_path) / "Emotion/S003/001").iterdir())
    annotation.unlink()
    annotation.mkdir()
    with pytest.raises(
        DataError, match=r"_emotion.txt: a file of annotations must be readable text \(Is a directory\)"
    ):
        ckplus.find(tmp_path)


def test_images_without_the_emotion_folder_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ["cohn-kanade-images/S001/001/S001_001_00000001.png"])
    with pytest.raises(DataError, match=r"CK\+ must have Emotion/.* beside cohn-kanade-images, got none"):
        ckplus.find(tmp_path)
