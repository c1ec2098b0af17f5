"""fer2013.csv: what is read, and the sentence for everything that is not."""

from pathlib import Path

import numpy as np
import pytest

from ferhpo.data.formats import fer2013
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec
from tests.data.made_up import faces, row, write_csv

SPEC = DataSpec()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fer2013.csv"


def no_exact(*_: object) -> None:
    pytest.fail("the exact way was taken")


def test_pixels_labels_and_usages_are_those_of_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "_exact", no_exact)
    write_csv(path, [row(3, "Training", seed=0), row(0, "PublicTest", seed=1), row(6, "PrivateTest", seed=2)])
    raw = fer2013.read(path, SPEC)
    assert (raw.images == np.concatenate([faces(1, seed=i) for i in range(3)])).all()
    assert raw.classes == ("angry", "happy", "neutral")
    assert raw.labels.tolist() == [1, 0, 2]
    assert raw.part.tolist() == ["Training", "PublicTest", "PrivateTest"]
    assert raw.images.dtype == np.uint8
    assert raw.labels.dtype == np.int64


def test_numbers_of_every_length_stand_beside_each_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "_exact", no_exact)
    rng = np.random.default_rng(0)
    pixels = rng.choice([0, 7, 9, 10, 42, 99, 100, 199, 255], (40, 2304))
    write_csv(path, (row(i % 7, pixels=" ".join(map(str, p))) for i, p in enumerate(pixels)))
    assert (fer2013.read(path, SPEC).images.reshape(40, 2304) == pixels).all()


def test_the_fast_and_the_exact_way_agree(path: Path) -> None:
    write_csv(path, (row(i % 7, ("Training", "PublicTest")[i % 2], seed=i) for i in range(200)))
    header, piece = fer2013._header(path), path.read_bytes().split(b"\n", 1)[1]
    for fast, exact in zip(fer2013._fast(piece, header), fer2013._exact(path, piece, 1, header), strict=True):
        assert (fast == exact).all()


def test_column_names_may_begin_with_a_space_and_stand_in_another_order(path: Path) -> None:
    pixels = " ".join(["7"] * 2304)
    write_csv(path, [f"0,Training,{pixels}", f"3,PublicTest,{pixels}"], header="emotion, Usage, pixels")
    raw = fer2013.read(path, SPEC)
    assert (raw.images == 7).all()
    assert raw.part.tolist() == ["Training", "PublicTest"]


@pytest.mark.parametrize("change", ["quotes", "windows line ends", "byte order mark", "blank line", "double spaces"])
def test_other_spellings_of_the_same_rows_are_read_alike(path: Path, change: str) -> None:
    pixels = " ".join(map(str, faces(1, seed=1).ravel()))
    text = "\n".join(["emotion,pixels,Usage", row(0, pixels=pixels), row(3, seed=2)]) + "\n"
    path.write_text(text)
    expected = fer2013.read(path, SPEC)
    changed = {
        "quotes": text.replace(",", ',"', 3)
        .replace(",Training", '",Training', 1)
        .replace(',"pixels,"Usage', ",pixels,Usage"),
        "windows line ends": text.replace("\n", "\r\n"),
        "byte order mark": "\ufeff" + text,
        "blank line": text + "\n\n",
        "double spaces": text.replace(" ", "  ", 5),
    }[change]
    path.write_bytes(changed.encode())
    raw = fer2013.read(path, SPEC)
    assert (raw.images == expected.images).all()
    assert raw.labels.tolist() == expected.labels.tolist()


def test_images_are_resized_and_grey_is_repeated_into_three_channels(path: Path) -> None:
    write_csv(path, [row(0, seed=1), row(3, seed=2)])
    raw = fer2013.read(path, DataSpec(size=24, channels=3))
    assert raw.images.shape == (2, 24, 24, 3)
    assert (raw.images[..., 0] == raw.images[..., 2]).all()


@pytest.mark.parametrize("bad", [1, 57, 199])
def test_only_the_piece_with_the_bad_row_is_read_row_by_row(
    path: Path, bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fer2013, "PIECE_BYTES", 1 << 16)
    seen = []
    exact = fer2013._exact
    monkeypatch.setattr(fer2013, "_exact", lambda *args: seen.append(args[1].count(b"\n")) or exact(*args))
    write_csv(path, (row("?" if i == bad else i % 7, seed=i) for i in range(200)))
    with pytest.raises(DataError, match=rf"fer2013.csv:{bad + 2}: emotion must be a code"):
        fer2013.read(path, SPEC)
    assert len(seen) == 1
    assert seen[0] < 20


def test_rows_that_are_unusual_and_right_are_read_among_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fer2013, "PIECE_BYTES", 1 << 16)
    rows = [row(i % 7, seed=i) for i in range(100)]
    rows[50] = rows[50].replace(" ", "  ", 3)
    rows[70] = rows[70].replace(",Training", ',"Training"')
    write_csv(path, rows)
    raw = fer2013.read(path, SPEC)
    assert raw.labels.tolist() == [i % 7 for i in range(100)]
    assert (raw.images == np.concatenate([faces(1, seed=i) for i in range(100)])).all()


P = " ".join(["7"] * 2303)
GOOD = row(3)
BAD = {
    "2,303 pixels": ([GOOD, row(0, pixels=P)], ":3: a row must have 2304 pixels (48x48), got 2303; correct or delete"),
    "2,305 pixels": ([row(0, pixels=P + " 1 2")], ":2: a row must have 2304 pixels (48x48), got 2305"),
    "no pixels": ([GOOD, row(0, pixels="")], ":3: a row must have 2304 pixels (48x48), got 0"),
    "pixels that moved to the next row": ([row(0, pixels=P), row(0, pixels=P + " 1 2")], ":2: a row must have 2304"),
    "a letter": ([GOOD, GOOD, row(0, pixels=P + " 1x")], ":4: a pixel must be a whole number from 0 to 255, got '1x'"),
    "above 255": (
        [row(0, pixels=P + " 256")],
        ":2: a pixel must be a whole number from 0 to 255, got '256' as",
    ),
    "four digits": ([row(0, pixels="1000 " + P)], "got '1000' as pixel 1"),
    "a negative": ([row(0, pixels="-1 " + P)], "got '-1' as pixel 1"),
    "a fraction": ([row(0, pixels="1.5 " + P)], "got '1.5' as pixel 1"),
    "another alphabet's digit": ([row(0, pixels="٣ " + P)], "got '٣' as pixel 1"),
    "an unknown Usage": (
        [GOOD, row(0, "Testing")],
        ":3: Usage must be one of Training, PublicTest, PrivateTest, got 'Te",
    ),
    "no Usage": ([row(0, "")], ":2: Usage must be one of Training, PublicTest, PrivateTest, got ''"),
    "an unknown emotion": ([GOOD, row(7)], ":3: emotion must be a code from 0 to 6, got '7'"),
    "a negative emotion": ([row(-1)], ":2: emotion must be a code from 0 to 6, got '-1'"),
    "an emotion by name": ([row("happy")], ":2: emotion must be a code from 0 to 6, got 'happy'"),
    "no emotion": ([row("")], ":2: emotion must be a code from 0 to 6, got ''"),
    "a column more": ([GOOD, GOOD + ",1"], ":3: a row must have 3 columns, got 4"),
    "an open quote": ([GOOD, '0,"' + P], ":3: "),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_row_is_named_with_file_line_and_rule(path: Path, what: str) -> None:
    rows, message = BAD[what]
    write_csv(path, rows)
    with pytest.raises(DataError) as caught:
        fer2013.read(path, SPEC)
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)


@pytest.mark.parametrize("cut", [3, 12, 200])
def test_a_file_cut_off_in_its_last_line_is_called_that(path: Path, cut: int) -> None:
    write_csv(path, [GOOD, GOOD])
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r":3: .*; the file seems cut off there: copy or download it again"):
        fer2013.read(path, SPEC)


def test_a_last_line_without_line_break_is_read(path: Path) -> None:
    write_csv(path, [GOOD, row(0, seed=1)])
    path.write_bytes(path.read_bytes()[:-1])
    assert len(fer2013.read(path, SPEC).labels) == 2


HEADS = {
    "empty": (b"", ": a csv must have a header and rows, got an empty file"),
    "header only": (b"emotion,pixels,Usage\n", ":1: a csv must have rows below its header, got none"),
    "header only, cut": (b"emotion,pixels,Usage", ":1: a csv must have rows below its header, got none"),
    "missing column": (b"emotion,pixels\n0,1 2\n", "got emotion, pixels; name the column 'Usage'"),
    "semicolons": (b"emotion;pixels;Usage\n0;1 2;T\n", ":1: the columns of a csv must be separated by commas, got emo"),
    "tabs": (b"emotion\tpixels\n0\t1 2\n", ":1: the columns of a csv must be separated by commas, got emotion\tpixels"),
    "other columns": (b"a,b,c\n1,2,3\n", "got a, b, c; name the column 'emotion'"),
    "a column twice": (
        b"emotion,emotion,pixels,Usage\n0,0,1,Training\n",
        "Usage; leave one 'emotion' out",
    ),
    "no header": (row(3).encode(), "must be a csv with the columns emotion, pixels, Usage, got something else"),
    "blank first line": (b"\nemotion,pixels,Usage\n", "got an empty line"),
    "text": (b"hello\nworld\n", "got hello; name the column 'emotion'"),
    "binary": (bytes(range(256)) * 40, "got something else; unpack it or check the path"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + b"\x9c\xff" * 900, "got something else; unpack it"),
    "null bytes": (b"\0" * 10000, "got something else"),
}


@pytest.mark.parametrize("what", HEADS)
def test_what_is_no_such_csv_is_refused_in_its_first_line(path: Path, what: str) -> None:
    content, message = HEADS[what]
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        fer2013.read(path, SPEC)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_binary_junk_below_a_good_header_is_refused_with_its_line(path: Path) -> None:
    path.write_bytes(f"emotion,pixels,Usage\n{GOOD}\n".encode() + bytes(range(128, 256)) * 50)
    with pytest.raises(DataError, match=r"fer2013.csv:3: a row must have 3 columns, got 1"):
        fer2013.read(path, SPEC)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(DataError, match=r"fer2013.csv: a csv must be readable \(No such file or directory\)"):
        fer2013.read(path, SPEC)
