"""`ferhpo report` and `ferhpo dashboard`: they open the right study and say where to look."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ferhpo.report import dashboard
from ferhpo.study.study import Study
from tests.cli.conftest import Run


def test_the_page_is_written_into_the_studys_folder_and_its_path_printed(
    study: Callable[..., Study], run: Run, root: Path
) -> None:
    study(4)
    ran = run("report", "--study", "toy")
    assert ran.code == 0, ran.err
    assert (root.parent / ran.out.strip()).resolve() == root / "toy" / "report.html"
    assert "<html" in (root / "toy" / "report.html").read_text()


def test_the_page_goes_where_it_is_wanted(study: Callable[..., Study], run: Run, tmp_path: Path) -> None:
    study(2)
    assert run("report", "--study", "toy", "--out", "page.html").out.strip() == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").is_file()


def test_a_page_that_cannot_be_written_is_misuse(study: Callable[..., Study], run: Run, tmp_path: Path) -> None:
    study(2)
    (tmp_path / "file").touch()
    line = run("report", "--study", "toy", "--out", "file/page.html").failed(2)
    assert "file/page.html must be a file that can be written (" in line


@pytest.mark.parametrize("command", ["report", "dashboard"])
def test_a_study_that_does_not_exist_is_one_line(run: Run, command: str) -> None:
    assert "a study must exist in studies, got 'toy'" in run(command, "--study", "toy").failed(1)


def test_the_dashboard_is_served_and_its_address_said(
    study: Callable[..., Study], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    study(2)
    served = []

    def serve(opened: Study, *, port: int, ready: Callable[[str], None]) -> None:
        served.append((opened.name, port))
        ready("http://127.0.0.1:8123/")

    monkeypatch.setattr(dashboard, "serve", serve)
    ran = run("dashboard", "--study", "toy", "--port", 8123)
    assert (ran.code, ran.out, served) == (0, "", [("toy", 8123)])
    assert "study 'toy' at http://127.0.0.1:8123/" in ran.err


def test_a_port_that_is_none_is_misuse(run: Run) -> None:
    assert run("dashboard", "--port", 70000).code == 2
