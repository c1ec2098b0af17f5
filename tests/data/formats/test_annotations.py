"""Lines and csv rows of annotation files, and the sentence for those that do not hold."""

from pathlib import Path

import pytest

from ferhpo.data.formats.annotations import label_of, line, lines, records, rows
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


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_of_a_csv_come_with_their_first_line_however_lines_end(tmp_path: Path, end: str) -> None:
    text = end.join(["a,b", "", '1,"two', 'lines"', "3,é", ""])
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert list(rows(tmp_path / "a.csv")) == [(1, ["a", "b"]), (3, ["1", f"two{end}lines"]), (5, ["3", "é"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 40_000,
            r"a.csv:3: a row must be valid csv, got 'field larger than .*; correct",
        ),
        (b"a,b\n" + b"1,2\n" * 9_000 + b"3,\xe9\n", r"a.csv:9002: a csv must be UTF-8, got the byte 0xE9; save it as"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(rows(tmp_path / "a.csv"))


def test_a_csv_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a csv must be readable \(Is a directory\); check the path"):
        list(rows(tmp_path))


def test_records_are_rows_by_column_and_what_a_row_lacks_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1\n2,3,4\n")
    assert list(records(tmp_path / "a.csv", ["b"])) == [(2, {"a": "1", "b": ""}), (3, {"a": "2", "b": "3"})]
    with pytest.raises(DataError, match=r"a.csv:1: the header must name b, c, got none for 'c'; add it"):
        list(records(tmp_path / "a.csv", ["b", "c"]))
