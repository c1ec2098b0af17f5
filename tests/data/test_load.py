"""Which format is read for a path and a spec."""

from pathlib import Path

import pytest

from ferhpo.data.load import detect, load
from ferhpo.errors import DataError, UsageError
from ferhpo.space.spec import DataSpec
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


def test_a_folder_is_refused_where_the_study_wants_a_csv(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='format "fer2013" needs a csv file, got a folder'):
        detect(DataSpec(format="fer2013"), tmp_path)


def test_a_file_is_refused_where_the_study_wants_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='format "folders" needs a folder, got a file'):
        detect(DataSpec(format="folders"), small_csv(tmp_path / "faces.csv"))
