"""Where the name of a study leads; `tests/cli/test_options.py` looks up every place."""

from pathlib import Path

import pytest

from ferhpo.errors import UsageError
from ferhpo.study.find import find_spec, is_path, name_of, packaged


def test_a_name_and_a_path_are_told_apart() -> None:
    assert [is_path(s) for s in ("a", "starting_points/a", "a.toml", "/a", "./a")] == [False, False, True, True, True]
    assert [name_of(s) for s in ("a", "starting_points/a", "x/a.toml")] == ["a", "a", "a"]


def test_packaged_studies_are_found_and_others_are_not(tmp_path: Path) -> None:
    assert (packaged() / "quickstart.toml").is_file()
    assert find_spec("fer2013", tmp_path).name == "fer2013"
    with pytest.raises(UsageError, match="did you mean 'quickstart'"):
        find_spec("quickstar", tmp_path)
