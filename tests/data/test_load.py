"""Which format is read for a path and a spec."""

from dataclasses import replace
from pathlib import Path

import pytest

from ferhpo.data.load import detect, load, state
from ferhpo.errors import DataError, UsageError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import small_csv, write_images


def test_a_file_is_a_csv_and_a_folder_holds_class_folders(tmp_path: Path) -> None:
    small_csv(tmp_path / "faces.csv")
    assert detect(DataSpec(), tmp_path / "faces.csv") == "fer2013"
    assert detect(DataSpec(), tmp_path) == "folders"


def test_each_format_is_read(tmp_path: Path) -> None:
    assert load(DataSpec(), small_csv(tmp_path / "faces.csv")).images.shape == (100, 48, 48, 1)
    assert load(DataSpec(), write_images(tmp_path, ["a/1.png", "b/1.png"])).images.shape == (2, 48, 48, 1)
    assert load(DataSpec(format="synthetic", rows=100), None).images.shape == (100, 48, 48, 1)


def test_rendered_images_get_the_size_and_channels_of_the_spec() -> None:
    raw = load(DataSpec(format="synthetic", rows=100, size=24, channels=3), None)
    assert raw.images.shape == (100, 24, 24, 3)


def test_a_given_path_overrides_rendered_images(tmp_path: Path) -> None:
    assert detect(DataSpec(format="synthetic"), small_csv(tmp_path / "faces.csv")) == "fer2013"


def test_images_of_ones_own_need_a_path() -> None:
    with pytest.raises(UsageError, match=r"add --data PATH"):
        detect(DataSpec(format="fer2013"), None)


def test_a_path_to_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.csv: there is no such file or folder"):
        detect(DataSpec(), tmp_path / "gone.csv")


def test_a_path_that_the_system_does_not_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x: the images must be readable \(File name too long\); check the path"):
        detect(DataSpec(), tmp_path / ("x" * 300))


def test_a_folder_is_refused_where_the_study_wants_a_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='format "fer2013" needs a csv file, got a folder'):
        detect(DataSpec(format="fer2013"), tmp_path)


def test_a_file_is_refused_where_the_study_wants_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='format "folders" needs a folder, got a file'):
        detect(DataSpec(format="folders"), small_csv(tmp_path / "faces.csv"))


def test_more_sets_are_joined_and_classes_kept_by_name(tmp_path: Path) -> None:
    write_images(tmp_path / "more", [f"{c}/{i}.png" for c in ("sadness", "neutral", "cheer") for i in range(9)], 48)
    for i in range(9):
        (tmp_path / "more" / "happiness").mkdir(exist_ok=True)
        (tmp_path / "more" / "cheer" / f"{i}.png").rename(tmp_path / "more" / "happiness" / f"{i}.png")
    (tmp_path / "more" / "cheer").rmdir()
    spec = DataSpec(also=(str(tmp_path / "more"),))
    raw = load(spec, small_csv(tmp_path / "faces.csv"))  # angry, happy, neutral
    assert raw.classes == ("happy", "neutral")
    assert len(raw.labels) > 66
    one = load(DataSpec(classes=("neutral", "anger")), tmp_path / "faces.csv")
    assert one.classes == ("angry", "neutral")
    with pytest.raises(DataError, match="must be in the data, got 'contempt'"):
        load(DataSpec(classes=("contempt",)), tmp_path / "faces.csv")


def table(root: Path, labels: str, columns: str = "file,label") -> Path:
    """Write a csv of 12 images below ``faces``, which stand at the same names in every such set."""
    write_images(root, [f"faces/{i}.png" for i in range(12)])
    rows = "".join(f"{i}.png,{labels[i % 2]}\n" for i in range(12))
    (root / "list.csv").write_text(f"{columns}\n{rows}")
    return root / "list.csv"


def test_images_of_the_first_set_are_not_those_of_an_added_one(tmp_path: Path) -> None:
    first, other = table(tmp_path / "a", "xy"), table(tmp_path / "b", "yx")
    spec = DataSpec(images=str(tmp_path / "a/faces"), also=(str(other),))
    with pytest.raises(DataError, match=r"b/list.csv: every annotation needs its image, got none at .*b/0.png"):
        load(spec, first)


def test_columns_of_the_first_set_hold_in_an_added_table_that_has_them(tmp_path: Path) -> None:
    first, other = table(tmp_path / "a", "xy", "where,mood"), table(tmp_path / "b", "yx", "where,emotion")
    for path in (first, other):
        path.write_text(path.read_text().replace("\n", "\nfaces/").removesuffix("faces/"))
    spec = DataSpec(image_column="where", label_column="mood", also=(str(other),), size=12, val=0.2, test=0.2)
    raw = load(spec, first)
    assert raw.classes == ("x", "y")
    assert len(raw.labels) > 12


def test_a_column_that_is_left_aside_is_so_in_added_tables_too(tmp_path: Path) -> None:
    paths = [table(tmp_path / folder, "xy", "file,label") for folder in "ab"]
    for path in paths:
        rows = path.read_text().splitlines()[1:]
        said = "".join(f"{i},faces/{row},{'test' if i < 6 else 'train'}\n" for i, row in enumerate(rows))
        path.write_text(f",file,label,split\n{said}")  # the first column is an index, as pandas writes it
    spec = DataSpec(split_column="", also=(str(paths[1]),), size=12, val=0.2, test=0.2)
    left_aside, heeded = (load(replace(spec, split_column=column), paths[0]) for column in ("", "auto"))
    assert len(left_aside.labels) > len(heeded.labels) == 12 + 6


def test_the_state_of_a_source_changes_with_an_image_of_an_added_table(tmp_path: Path) -> None:
    write_images(tmp_path, ["set/x/1.png", "set/y/1.png"])
    other = table(tmp_path / "b", "xy")
    other.write_text(other.read_text().replace("\n", "\nfaces/").removesuffix("faces/"))
    spec = DataSpec(also=(str(other),), images=str(tmp_path / "nowhere"))
    before = state(spec, "folders", tmp_path / "set")
    (tmp_path / "b/faces/3.png").write_bytes(b"changed")
    assert state(spec, "folders", tmp_path / "set") != before


def test_the_state_of_a_source_changes_with_every_file_that_is_read(tmp_path: Path) -> None:
    write_images(tmp_path, ["set/a/1.png", "set/b/1.png", "more/a/1.png", "faces/1.png", "faces/2.png"])
    (tmp_path / "list.csv").write_text("file,label\nfaces/1.png,a\nfaces/2.png,b\n")
    spec = DataSpec(also=(str(tmp_path / "more"),))

    def now() -> tuple[object, ...]:
        return state(spec, "folders", tmp_path / "set"), state(DataSpec(), "table", tmp_path / "list.csv")

    seen = [now()]
    for name in ("set/a/1.png", "more/a/1.png", "faces/2.png", "list.csv"):
        with (tmp_path / name).open("ab") as file:
            file.write(b"\n")
        seen.append(now())
    assert len(set(map(str, seen))) == 5
    assert now() == now()


def test_a_named_column_is_refused_where_nothing_has_columns(tmp_path: Path) -> None:
    spec = DataSpec(group_column="subject")
    with pytest.raises(
        DataError, match=r'group_column names a column of a table or .*, got format "folders"; leave it out'
    ):
        load(spec, write_images(tmp_path, ["a/1.png", "b/1.png"]))


@pytest.mark.parametrize("spec", [DataSpec(), DataSpec(format="table"), DataSpec(label_column="mood")])
@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_csv_whose_columns_are_not_separated_by_commas_is_told_so(tmp_path: Path, spec: DataSpec, mark: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"image{mark}mood\n1.png{mark}happy\n")
    with pytest.raises(
        DataError, match=rf"labels.csv:1: the columns .* separated by commas, got image{mark}mood; save"
    ):
        load(spec, path)
