"""The page of `ferhpo data inspect`: every problem with its images, nothing loaded, nothing that runs."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ferhpo.data.inspect import inspect
from ferhpo.data.problems import problems
from ferhpo.report.data_page import GROUPS, IMAGES, page, write_data_page
from tests.data.made_up import raw
from tests.data.test_near import smooth


def made(copies: int = 1, name: str = "faces", files: tuple[Path, ...] | None = None) -> str:
    images = smooth(60)
    images[1 : 1 + copies] = images[0]
    one = replace(raw([0, 1] * 30, ["train"] * 40 + ["test"] * 20, images), files=files)
    found = problems(replace(one, files=None))
    return page(name, one, inspect(one, found), [p for p in found if p.name in {"duplicates", "conflicts", "blank"}])


def test_each_problem_with_rows_has_a_sheet_of_its_images() -> None:
    html = made()
    assert '<h2 id="duplicates">Identical images</h2>' in html
    assert 'id="blank"' not in html
    assert html.count("data:image/png;base64,") == 4, "as duplicates and as conflicting labels"
    assert "0: class0, train" in html
    assert "1: class1, train" in html


def test_a_group_of_many_shows_a_few() -> None:
    html = made(copies=IMAGES + 3)
    assert "and 4 more" in html
    assert html.count("<img") == 2 * IMAGES


def test_a_long_list_of_groups_is_cut() -> None:
    images = np.repeat(smooth(GROUPS + 5), 2, axis=0)
    one = raw([0] * len(images), images=images)
    one = replace(one, classes=("a", "b"))
    found = problems(one)
    html = page("x", one, inspect(one, found), found[:1])
    assert f"the first {GROUPS} are shown" in html
    assert html.count("<img") == 2 * GROUPS


def test_the_page_loads_nothing_and_a_name_is_no_tag(tmp_path: Path) -> None:
    html = made(name="<b>x</b>", files=tuple(Path(f"<i>{i}") for i in range(60)))
    assert "<b>x" not in html
    assert "<i>" not in html
    assert not re.search(r"<script|https?://|src=\"(?!data:)", html)


def test_a_class_may_be_called_as_a_column_is() -> None:
    one = replace(raw([0, 1, 1], ["train"] * 3, smooth(3)), classes=("split", "rows"))
    html = page("x", one, inspect(one, problems(one)), [])
    cells = re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", html[: html.index("Between the splits")])
    assert cells == ["split", "rows", "split", "rows", "train", "3", "1", "2"]


@pytest.mark.parametrize(("channels", "frames", "mode"), [(1, 3, "L"), (3, 1, "RGB"), (3, 2, "RGB"), (1, 1, "L")])
def test_of_a_sequence_the_last_frame_is_shown(channels: int, frames: int, mode: str) -> None:
    images = np.zeros((4, 8, 8, channels * frames), np.uint8)
    images[..., -channels:] = 200
    one = raw([0, 1, 0, 1], images=images)
    found = problems(one)
    html = page("x", one, inspect(one, found), found, frames)
    shown = re.findall(r"base64,([A-Za-z0-9+/=]+)", html)
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0])))
    assert (picture.mode, picture.getextrema()) == (mode, (200, 200) if channels == 1 else ((200, 200),) * 3)


def test_the_page_is_written_in_one_step(tmp_path: Path) -> None:
    one = raw([0, 1] * 10)
    found = problems(one)
    path = write_data_page(tmp_path / "deep" / "page.html", "x", one, inspect(one, found), found)
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
