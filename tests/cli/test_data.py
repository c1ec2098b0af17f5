"""`ferhpo data inspect`: counts under the promised keys, and a clear line for what cannot be read."""

from pathlib import Path

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


def test_a_missing_file_is_one_line(run: Run) -> None:
    assert "none.csv: there is no such file or folder" in run("data", "inspect", "--data", "none.csv").failed(1)


def test_a_malformed_file_is_one_line_with_its_line(run: Run, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [row(0, seed=1), row(3, pixels="1 2 3")])
    assert "a.csv:3: " in run("data", "inspect", "--data", "a.csv").failed(1)


def test_a_size_that_makes_no_sense_is_misuse(run: Run, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv")
    assert "size must be from 8 to 1024, got 4" in run("data", "inspect", "-d", "a.csv", "--size", 4).failed(2)
