"""`ferhpo data`: counts under the promised keys, prepared folders, and a clear line for what cannot be read."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ferhpo.data.load import load
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import parse_spec
from ferhpo.study.source import open_data
from tests.cli.conftest import Run
from tests.data.made_up import row, small_csv, write_csv, write_images


def test_inspect_prints_the_promised_keys(run: Run, tmp_path: Path) -> None:
    rows = [row(0, "Training", seed=1), row(3, "Training", seed=1), row(3, "PublicTest", seed=1)]
    rows += [row(6, "PrivateTest", seed=2), row(6, "Training", pixels=" ".join(["7"] * 2304))]
    ran = run("data", "inspect", "--data", write_csv(tmp_path / "a.csv", rows), "--format", "json")
    assert ran.code == 0
    found = ran.json
    assert found["splits"]["Training"] == {"rows": 3, "counts": {"angry": 1, "happy": 1, "neutral": 1}}
    assert found["splits"]["PublicTest"] == {"rows": 1, "counts": {"angry": 0, "happy": 1, "neutral": 0}}
    assert list(found["splits"]) == ["Training", "PublicTest", "PrivateTest"]
    assert found["duplicates"] == 2
    assert found["cross_split_duplicates"]["Training-PublicTest"] == 1
    assert found["conflicting_labels"] == 1
    assert found["blank_images"] == 1


def test_inspect_as_a_table_has_a_row_for_every_split(run: Run, tmp_path: Path) -> None:
    ran = run("data", "inspect", "-d", small_csv(tmp_path / "a.csv"))
    assert [line.split()[:2] for line in ran.out.splitlines()[1:4]] == [
        ["Training", "60"],
        ["PublicTest", "20"],
        ["PrivateTest", "20"],
    ]
    assert "0 groups of identical images" in ran.out


def test_inspect_takes_class_folders(run: Run, tmp_path: Path) -> None:
    write_images(tmp_path / "faces", [f"{c}/{i}.png" for c in ("happy", "sad") for i in range(3)])
    found = run("data", "inspect", "--data", "faces", "--size", 12, "--format", "json").json
    assert [split["rows"] for split in found["splits"].values()] == [6]


def test_inspect_says_what_was_left_out(run: Run, tmp_path: Path) -> None:
    write_images(tmp_path / "faces", [f"{c}/{i}.png" for c in ("happy", "sad") for i in range(3)] + ["me.png"])
    ran = run("data", "inspect", "--data", "faces", "--size", 12)
    assert ["left", "out", "1", "images", "outside"] in [line.split()[:5] for line in ran.out.splitlines()]


def test_inspect_writes_a_page_of_contact_sheets(run: Run, tmp_path: Path) -> None:
    rows = [row(0, "Training", seed=1), row(3, "Training", seed=1), row(3, "PublicTest", seed=2)]
    ran = run("data", "inspect", "--data", write_csv(tmp_path / "a.csv", rows), "--html", "page.html")
    assert "page.html" in ran.err
    assert "Identical images with several labels" in (tmp_path / "page.html").read_text()


def test_inspect_joins_sets(run: Run, tmp_path: Path) -> None:
    write_images(tmp_path / "more", [f"{c}/{i}.png" for c in ("happy", "neutral", "sad") for i in range(9)])
    small_csv(tmp_path / "a.csv")
    found = run("data", "inspect", "-d", "a.csv", "-d", "more", "--format", "json").json
    assert found["classes"] == ["happy", "neutral"]
    assert found["splits"]["train"]["rows"] > 40
    assert found["splits"]["test"]["rows"] == 13


def test_a_prepared_folder_is_data(run: Run, tmp_path: Path) -> None:
    rows = [row((0, 3)[i % 2], "Training", seed=i) for i in range(30)]
    rows += [row(0, "Training", pixels=" ".join(["7"] * 2304)), row(0, "Training", seed=40)]
    rows += [row(0, "PublicTest", seed=40), row(3, "PublicTest", seed=41), row(3, "PrivateTest", seed=42)]
    write_csv(tmp_path / "a.csv", rows)
    made = run("data", "prepare", "-d", "a.csv", "--drop-blank", "--drop-leaks", "--format", "json").json
    assert made["folder"] == str(tmp_path / "a-prepared")
    assert made["dropped"]["blank"] == 1
    assert made["dropped"]["train_in_val"] == 1
    again = run("data", "inspect", "-d", "a-prepared", "--format", "json").json
    assert {name: split["rows"] for name, split in again["splits"].items()} == {"train": 30, "val": 2, "test": 1}
    assert again["blank_images"] == 0
    assert "train" in run("data", "prepare", "-d", "a-prepared", "--out", "a-prepared").out


def test_two_sets_of_one_name_are_not_prepared_in_one_place(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        small_csv(tmp_path / name / "a.csv")
    assert run("data", "prepare", "-d", "one/a.csv").code == 0
    line = run("data", "prepare", "-d", "two/a.csv").failed(2)
    assert f"a-prepared holds images of {tmp_path}/one/a.csv, got {tmp_path}/two/a.csv; name another folder" in line
    assert "a-prepared holds images of" not in run("data", "prepare", "-d", "one/a.csv").err
    line = run("data", "prepare", "-d", "one/a.csv", "-d", "two/a.csv").failed(2)
    assert f"a-prepared holds images of {tmp_path}/one/a.csv, got {tmp_path}/one/a.csv and {tmp_path}/two/a.csv" in line
    assert run("data", "prepare", "-d", "two/a.csv", "--out", "a-prepared").code == 0


def test_a_folder_keeps_its_whole_name_when_it_is_prepared(run: Run, tmp_path: Path) -> None:
    write_images(tmp_path / "faces.v1", [f"{c}/{i}.png" for c in "ab" for i in range(9)])
    assert run("data", "prepare", "-d", "faces.v1", "--size", 12).code == 0
    assert (tmp_path / "faces.v1-prepared" / "prepared.json").is_file()


def test_prepare_finds_the_images_of_a_study_without_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_csv(tmp_path / "a.csv")
    spec = parse_spec('[data]\npath = "../a.csv"\nsize = 12', name="toy")
    known = {"path": str(tmp_path / "a.csv"), "format": "fer2013", "fingerprint": "0"}
    monkeypatch.setattr("ferhpo.cli.data.find_spec", lambda study, root: spec)
    monkeypatch.setattr("ferhpo.study.source.recorded_data", lambda root, name: known)
    ran = run("data", "prepare", "--study", "toy", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["folder"] == str(tmp_path / "a-prepared")


def test_prepare_takes_the_data_section_of_a_study(run: Run, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv")
    (tmp_path / "my.toml").write_text('[data]\npath = "a.csv"\nsize = 24\nclasses = ["anger", "happiness"]\n')
    made = run("data", "prepare", "--study", "my.toml", "--out", "made", "--format", "json").json
    assert list(made["counts"]["train"]) == ["angry", "happy"]
    assert run("data", "inspect", "-d", "made", "--format", "json").json["size"] == 48
    assert run("data", "inspect", "-d", "made", "--size", 24, "--format", "json").json["rows"] == 67


def test_prepare_aligns_faces_whose_eyes_are_found(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_csv(tmp_path / "a.csv")
    monkeypatch.setattr("ferhpo.data.align.find_spec", lambda name: None)
    said = run("data", "prepare", "-d", "a.csv", "--align").failed(2)
    assert "run pip install '.[align]'" in said
    eyes = iter([(0.2 + 0.3j, 0.6 + 0.5j)] * 40 + [None] * 60)
    monkeypatch.setattr("ferhpo.data.align.finder", lambda: lambda grey: next(eyes))
    ran = run("data", "prepare", "-d", "a.csv", "--align", "--out", "made")
    assert "eyes found in 40 of 100 images" in ran.err
    plain, made = (load(DataSpec(), tmp_path / name).images for name in ("a.csv", "made"))
    assert (plain != made).any((1, 2, 3)).sum() == 40


def test_prepare_never_replaces_a_folder_of_other_files(run: Run, tmp_path: Path) -> None:
    write_images(tmp_path, ["a/1.png"])
    assert "--out must be a new folder" in run("data", "prepare", "--out", "a").failed(2)
    assert (tmp_path / "a/1.png").is_file()


def test_prepared_images_are_not_replaced_where_there_are_other_files(run: Run, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv")
    assert run("data", "prepare", "-d", "a.csv", "--out", "made").code == 0
    assert run("data", "prepare", "-d", "a.csv", "--out", "made").code == 0
    (tmp_path / "made" / "notes.txt").write_text("mine")
    assert "made with notes.txt; name another" in run("data", "prepare", "-d", "a.csv", "--out", "made").failed(2)
    assert (tmp_path / "made" / "notes.txt").read_text() == "mine"


def test_a_missing_file_is_one_line(run: Run) -> None:
    assert "none.csv: there is no such file or folder" in run("data", "inspect", "--data", "none.csv").failed(1)


def test_a_malformed_file_is_one_line_with_its_line(run: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [row(0, seed=1), row(3, pixels="1 2 3")])
    assert "a.csv:3: " in run("data", "inspect", "--data", "a.csv").failed(1)


def test_a_size_that_makes_no_sense_is_misuse(run: Run, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv")
    assert "size must be from 8 to 1024, got 4" in run("data", "inspect", "-d", "a.csv", "--size", 4).failed(2)
    assert "size must be from 8 to 1024, got 0" in run("data", "inspect", "-d", "a.csv", "--size", 0).failed(2)
    assert "size must be from 8 to 1024, got 0" in run("data", "prepare", "-d", "a.csv", "--size", 0).failed(2)


def test_a_study_names_the_validation_rows_whose_label_its_trials_doubt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = parse_spec('[data]\npath = "a.csv"', name="toy", path=tmp_path / "toy.toml")
    prepared = open_data(spec, tmp_path / "cache", given=small_csv(tmp_path / "a.csv"))
    val = prepared.part("val")
    probs = np.full((1, len(val.labels), 3), 0.1)
    probs[0, np.arange(len(val.labels)), val.labels] = 0.8
    probs[0, 4] = 0.05
    probs[0, 4, (val.labels[4] + 1) % 3] = 0.9
    opened = SimpleNamespace(spec=spec, data=None, candidates=lambda: [1])
    monkeypatch.setattr("ferhpo.cli.data.open_study", lambda *_: opened)
    found = SimpleNamespace(probs_mnc=probs, y_n=val.labels)
    monkeypatch.setattr("ferhpo.ensemble.members.read", lambda study, trials: found)
    ran = run("data", "inspect", "--study", "toy", "--format", "json")
    assert ran.json["problems"]["suspects"] == [[int(val.rows[4])]]
    opened.candidates = list
    assert "'toy' has none; run `ferhpo search` first" in run("data", "inspect", "--study", "toy").failed(1)
    for words in (["--size", 32], ["-d", "a.csv", "-d", "a.csv"]):
        assert "--study says how its images are read" in run("data", "inspect", "--study", "toy", *words).failed(2)
