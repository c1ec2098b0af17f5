"""The page is one file, loads nothing, and keeps every text a text."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ferhpo.report.html import page, write_report
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from tests.report.drawn import Page
from tests.report.made_up_study import SPEC, Browse, Maker, make_study, probabilities

HOSTILE = "</script><img src=x onerror=document.title='hacked'>"


@pytest.fixture(scope="module")
def text(full: Study) -> str:
    return page(full)


@pytest.fixture(scope="module")
def parsed(text: str) -> Page:
    return Page(text)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study in which every text that can be chosen is an attack."""
    quoted = json.dumps(HOSTILE)
    spec = SPEC.replace('"Made-up faces"', quoted).replace('"vgg8"', quoted).replace("arch = {", "# <b>\narch = {")

    def fill(maker: Maker) -> None:
        for _ in range(6):
            maker.trial("COMPLETE", attrs={"host": HOSTILE})
        maker.trial("FAIL", 0, {"error": HOSTILE})
        maker.trial("COMPLETE", values=[0.9] * 4, attrs=maker.checkpoint(7, probabilities()))

    classes = [HOSTILE, "b", "c"]
    counts = {split: dict.fromkeys(classes, 5) for split in ("train", "val")}
    root = tmp_path_factory.mktemp("hostile")
    study = make_study(root, fill, parse_spec(spec, name="faces"), classes=classes, counts=counts, path=HOSTILE)
    study.record_opening(HOSTILE, HOSTILE)
    return study


def test_the_page_refers_to_nothing_outside_itself(parsed: Page) -> None:
    for name, attributes in parsed.elements:
        assert name not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    for element, content in parsed.raw:
        if element == "style":
            assert "url(" not in content
            assert "@import" not in content


def test_every_chart_is_valid_json_that_cannot_end_its_script(parsed: Page) -> None:
    charts = [c for e, c in parsed.raw if e == "script" and c.startswith("{")]
    assert len(charts) >= 12
    for chart in charts:
        assert {"data", "layout"} <= json.loads(chart).keys()
        assert "<" not in chart
        assert "NaN" not in chart


def test_every_link_leads_to_a_section(parsed: Page) -> None:
    anchors = {a["id"] for _, a in parsed.elements if "id" in a}
    links = [str(a["href"]) for n, a in parsed.elements if n == "a"]
    assert len(links) == 9
    assert {link.removeprefix("#") for link in links} <= anchors


def test_a_text_from_a_study_never_becomes_an_element(hostile: Study) -> None:
    parsed = Page(page(hostile))
    assert "img" not in parsed.names()
    assert not [key for _, attributes in parsed.elements for key in attributes if key.startswith("on")]
    shown = " ".join(parsed.words)
    assert shown.count(HOSTILE) >= 6  # description, error, setting, class, path, opening


def test_an_empty_study_gives_a_page(empty: Study) -> None:
    parsed = Page(page(empty))
    shown = " ".join(parsed.words)
    assert "No trial has ended with a value yet." in shown
    assert "never opened" in shown
    assert "Ensemble" in shown


def test_a_study_of_failed_trials_gives_a_page(tmp_path: Path) -> None:
    shown = " ".join(Page(page(make_study(tmp_path, lambda m: m.trial("FAIL", 0, {"error": "boom"})))).words)
    assert "boom" in shown


def test_the_report_is_written_in_one_step_over_the_old_one(tmp_path: Path, empty: Study) -> None:
    path = tmp_path / "new" / "report.html"
    assert write_report(empty, path) == path
    assert write_report(empty, path) == path
    assert path.read_text().startswith("<!DOCTYPE html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_writing_a_report_changes_nothing_in_the_study(tmp_path: Path, full: Study) -> None:
    before = (full.folder / "study.db").read_bytes()
    write_report(full, tmp_path / "report.html")
    assert (full.folder / "study.db").read_bytes() == before


def test_drawing_a_report_loads_neither_torch_nor_ray_nor_timm() -> None:
    code = "import sys, ferhpo.report.frames, ferhpo.report.html; print({'torch', 'ray', 'timm'} & sys.modules.keys())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.browser
def test_a_browser_draws_every_chart_offline(tmp_path: Path, full: Study, browse: Browse) -> None:
    document = browse(write_report(full, tmp_path / "report.html").as_uri())
    charts = document.count('class="chart js-plotly-plot"')
    assert charts >= 12
    assert len(re.findall(r'<svg class="main-svg"', document)) >= charts
    assert "best so far" in document


@pytest.mark.browser
def test_a_hostile_study_runs_nothing_in_a_browser(tmp_path: Path, hostile: Study, browse: Browse) -> None:
    document = browse(write_report(hostile, tmp_path / "report.html").as_uri())
    assert "<title>faces - ferhpo report</title>" in document
    assert "<img" not in re.sub(r"<script.*?</script>", "", document, flags=re.DOTALL)
    assert 'class="chart js-plotly-plot"' in document
