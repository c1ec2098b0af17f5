"""A study finds its data where it left them, and takes no others."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.cache import Prepared, write_prepared
from ferhpo.data.raw import RawData
from ferhpo.errors import DataError, UsageError
from ferhpo.search.objective import no_images
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.source import data_record, located, open_data, open_other, recorded_data
from ferhpo.study.study import Study
from tests.data.made_up import row, small_csv, write_csv, write_images


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    return small_csv(tmp_path / "fer2013.csv")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    usages = ["Training"] * 30 + ["PublicTest"] * 9 + ["PrivateTest"] * 9
    return write_csv(tmp_path / "other.csv", (row((0, 3)[i % 2], u, seed=100 + i) for i, u in enumerate(usages)))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def study(text: str = "", path: Path | str = "x.toml") -> StudySpec:
    return parse_spec(f"[data]\n{text}", name="toy", path=path)


def begun(csv: Path, cache: Path) -> tuple[Prepared, dict[str, object]]:
    prepared = open_data(study(), cache, given=csv)
    return prepared, data_record(prepared)


def test_without_data_the_user_is_asked_for_them(cache: Path) -> None:
    with pytest.raises(UsageError, match=r"study 'toy' names no images; give --data"):
        open_data(study(), cache)


def test_a_study_of_an_objective_goes_on_from_python_whatever_data_are_given(csv: Path, cache: Path) -> None:
    record = data_record(no_images(cache))
    for given in (None, csv):
        with pytest.raises(UsageError, match=r"study 'toy' searches a Python objective.*go on from Python"):
            open_data(study(), cache, given=given, record=record)


def test_a_study_that_renders_its_faces_needs_no_data(cache: Path) -> None:
    prepared = open_data(study('format = "synthetic"\nrows = 120'), cache)
    assert (prepared.format, prepared.source) == ("synthetic", None)


@pytest.mark.parametrize(("kept", "wanted"), [("majority", "soft"), ("soft", "majority")])
def test_prepared_images_with_other_labels_than_the_study_wants_begin_none(
    csv: Path, cache: Path, tmp_path: Path, kept: str, wanted: str
) -> None:
    def voted(one: RawData) -> RawData:
        shares = np.full((len(one.labels), len(one.classes)), 1 / len(one.classes), np.float32)
        return replace(one, soft=shares if kept == "soft" else None)

    write_prepared(DataSpec(), csv, tmp_path / "made", voted)
    spec, fits = study(f'labels = "{wanted}"'), study(f'labels = "{kept}"')
    with pytest.raises(DataError, match=rf'made: prepared images keep .*, got {kept} .*; set labels = "{kept}" in'):
        open_data(spec, cache, given=tmp_path / "made")
    found = open_data(fits, cache, given=tmp_path / "made")
    record = data_record(open_other(spec, tmp_path / "made", cache, found))
    assert open_data(spec, cache, record=record).fingerprint == found.fingerprint, "one that was begun goes on"


def test_soft_labels_without_votes_begin_no_study(csv: Path, cache: Path) -> None:
    spec = study('labels = "soft"')
    with pytest.raises(DataError, match=r'labels = "soft" needs votes, which FER\+ has, got format "fer2013"; leave'):
        open_data(spec, cache, given=csv)
    own = open_data(study(), cache, given=csv)
    assert open_other(spec, csv, cache, own).soft is None, "another set may be tested on"
    assert open_data(spec, cache, record=begun(csv, cache)[1]).soft is None, "one that was begun goes on"


def test_a_path_in_the_study_file_is_relative_to_the_file(tmp_path: Path, csv: Path, cache: Path) -> None:
    (tmp_path / "studies").mkdir()
    spec = study('path = "../fer2013.csv"', tmp_path / "studies" / "toy.toml")
    assert open_data(spec, cache).source == csv


def test_a_given_path_goes_before_the_study_files(tmp_path: Path, csv: Path, cache: Path) -> None:
    spec = study('path = "nowhere.csv"', tmp_path / "toy.toml")
    assert open_data(spec, cache, given=csv).source == csv


def test_data_once_used_are_remembered(csv: Path, cache: Path) -> None:
    prepared, record = begun(csv, cache)
    again = open_data(study(), cache, record=record)
    assert (again.source, again.folder) == (csv, prepared.folder)


def test_a_moved_file_of_the_same_content_is_accepted(tmp_path: Path, csv: Path, cache: Path) -> None:
    _, record = begun(csv, cache)
    moved = Path(shutil.move(csv, tmp_path / "moved.csv"))
    assert open_data(study(), cache, given=moved, record=record).source == moved


def test_a_copy_with_other_line_breaks_is_the_same_data(tmp_path: Path, csv: Path, cache: Path) -> None:
    _, record = begun(csv, cache)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(csv.read_bytes().replace(b"\n", b"\r\n"))
    assert open_data(study(), cache, given=copy, record=record).fingerprint == record["fingerprint"]


def test_other_data_are_refused(csv: Path, other: Path, cache: Path) -> None:
    _, record = begun(csv, cache)
    with pytest.raises(DataError, match=r"'toy' was begun with .*fer2013\.csv .* got .*other\.csv"):
        open_data(study(), cache, given=other, record=record)


def test_a_file_that_changed_in_its_place_is_refused(csv: Path, other: Path, cache: Path) -> None:
    _, record = begun(csv, cache)
    shutil.copy(other, csv)
    with pytest.raises(DataError, match="a study keeps its data"):
        open_data(study(), cache, record=record)


def test_a_file_that_is_gone_is_named(csv: Path, cache: Path) -> None:
    _, record = begun(csv, cache)
    csv.unlink()
    with pytest.raises(DataError, match=r"fer2013\.csv: there is no such file or folder"):
        open_data(study(), cache, record=record)


def test_rendered_faces_are_no_substitute_for_the_studys_data(csv: Path, cache: Path) -> None:
    spec = study('format = "synthetic"\nrows = 120')
    record = data_record(open_data(spec, cache))
    with pytest.raises(DataError, match="was begun with rendered faces"):
        open_data(spec, cache, given=csv, record=record)


def test_a_synthetic_study_begun_with_given_data_keeps_them(csv: Path, cache: Path) -> None:
    spec = study('format = "synthetic"\nrows = 120')
    record = data_record(open_data(spec, cache, given=csv))
    assert open_data(spec, cache, record=record).source == csv


def test_further_sets_are_relative_to_the_file_and_remembered_where_it_is_gone(
    tmp_path: Path, csv: Path, cache: Path
) -> None:
    usages = ["Training"] * 30 + ["PublicTest"] * 9 + ["PrivateTest"] * 9
    (tmp_path / "deep").mkdir()
    more = write_csv(
        tmp_path / "deep" / "more.csv", (row((0, 3)[i % 2], u, seed=200 + i) for i, u in enumerate(usages))
    )
    text = 'path = "../fer2013.csv"\nalso = ["more.csv"]'
    prepared = open_data(study(text, tmp_path / "deep" / "toy.toml"), cache)
    assert prepared.classes == ("angry", "happy")
    assert sum(prepared.counts["train"].values()) == 70
    record = data_record(prepared)
    kept = study(text, "study file kept in study 'toy'")
    asked, path = located(kept, record=record)
    assert (path, asked.also) == (csv, (str(more),))
    assert open_data(kept, cache, record=record).fingerprint == prepared.fingerprint


def test_what_a_study_wrote_down_of_its_data_is_found_or_none(study: Callable[..., Study], root: Path) -> None:
    assert recorded_data(root, "toy") is None
    study(2)
    found = recorded_data(root, "toy")
    assert found is not None
    assert found["fingerprint"] == "f" * 64


def test_nets_that_have_seen_no_colour_are_shown_none_of_another_set(csv: Path, cache: Path, tmp_path: Path) -> None:
    spec = study("channels = 3")
    own = open_data(spec, cache, given=csv)
    assert own.grey
    names = [f"{name}/{i}.png" for i in range(40) for name in ("angry", "happy")]
    other = open_other(spec, write_images(tmp_path / "colour", names, mode="RGB"), cache, own)
    assert other.images.shape[1:] == own.images.shape[1:]
    assert (other.images[..., 0] == other.images[..., 2]).all()
    assert not open_data(spec, cache, given=tmp_path / "colour").grey
