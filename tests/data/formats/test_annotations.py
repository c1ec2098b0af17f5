"""Lines of annotation files, and the sentence for those that do not hold."""

from pathlib import Path

import pytest

from ferhpo.data.formats.annotations import label_of, line, lines
from ferhpo.errors import DataError

PATH = Path("a.lst")


def test_empty_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.lst").write_text("one\n\n  \ntwo")
    assert list(lines(tmp_path / "a.lst")) == [(1, "one"), (4, "two")]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lst").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"a.lst: a file of annotations must be readable text \(it is not UTF-8\)"):
        list(lines(tmp_path / "a.lst"))


def test_a_line_of_other_length_is_named() -> None:
    assert line("a  b", 2, PATH, 3) == ["a", "b"]
    with pytest.raises(DataError, match=r"a.lst:3: a line must have 2 fields, got 3"):
        line("a b c", 2, PATH, 3)


def test_a_code_is_mapped_to_its_name() -> None:
    assert label_of(" 1 ", {"1": "happy"}, PATH, 3) == "happy"
    with pytest.raises(DataError, match=r"a.lst:3: a label must be one of 1, got '2'"):
        label_of("2", {"1": "happy"}, PATH, 3)
