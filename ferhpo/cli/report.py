"""`ferhpo report` and `ferhpo dashboard`: a study as a page, and as a live one."""

from pathlib import Path
from typing import Annotated

import typer

from ferhpo.cli.options import RootOption, StorageOption, StudyOption
from ferhpo.cli.output import say
from ferhpo.cli.study import open_study
from ferhpo.study.find import ROOT


def report(
    *,
    study: StudyOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The page.", show_default="report.html in the study's folder", dir_okay=False)
    ] = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
) -> None:
    """Write one HTML page about a study: curves, importances, budget, ensemble; it opens offline."""
    from ferhpo.report.html import write_report

    opened = open_study(study, root, storage)
    typer.echo(write_report(opened, out or opened.folder / "report.html"))


def dashboard(
    *,
    study: StudyOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 8080,
    storage: StorageOption = None,
    root: RootOption = ROOT,
) -> None:
    """Show a study in Optuna Dashboard on 127.0.0.1 until Ctrl-C; a search may go on meanwhile."""
    from ferhpo.report.dashboard import serve

    opened = open_study(study, root, storage)
    serve(opened, port=port, ready=lambda url: say(f"study '{opened.name}' at {url} (Ctrl-C ends it)"))
