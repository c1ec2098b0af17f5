"""`ferhpo`: the commands, and the one place where errors become a line on stderr and an exit code."""

import io
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ferhpo import __version__
from ferhpo.cli import compare, data, distill, ensemble, export, models, predict, report, search, study, train
from ferhpo.errors import FerhpoError

INTERRUPTED = 130


class Commands(TyperGroup):
    """The commands, left by `typer.Abort` on Ctrl-C: by itself typer makes an exit code of it, and nobody says why."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


app = typer.Typer(
    name="ferhpo",
    cls=Commands,
    help="Hyperparameter search and ensembling for image classification, at home with facial expressions.",
    epilog="Every command takes --debug, which shows the traceback of an error.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing what would draw it takes longer than all the rest
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("search", short_help="Try configurations; run it again to go on.")(search.search)
app.command("ensemble", short_help="Combine the best trials of a study.")(ensemble.ensemble)
app.command("predict", short_help="Say which class each picture shows.")(predict.predict)
app.command("export", short_help="Write an ensemble as one ONNX file, or its model card.")(export.export)
app.command("distill", short_help="Train one small net on what an ensemble says.")(distill.distill)
app.command("train", short_help="Train one configuration, without Ray.")(train.train)
app.command("compare", short_help="Set known systems side by side.")(compare.compare)
app.command("report", short_help="Write one HTML page about a study.")(report.report)
app.command("dashboard", short_help="Show a study in Optuna Dashboard.")(report.dashboard)
app.command("models", short_help="List architectures.")(models.models)
app.add_typer(study.app, name="study")
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main(args: list[str] | None = None) -> None:
    """Run a command line and exit with its code.

    Args:
        args: the words after ``ferhpo``; the process's own by default.
    """
    words = sys.argv[1:] if args is None else args
    debug = "--debug" in words
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may hold bytes that are no text; stderr does so already
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app([word for word in words if word != "--debug"], prog_name="ferhpo", standalone_mode=False)
    except FerhpoError as error:
        code = _fail(str(error), error.exit_code, debug=debug)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        code = INTERRUPTED
    except OSError as error:  # a full disk, a folder of somebody else: no fault of ferhpo
        code = _fail(_refused(error), 1, debug=debug) if error.errno else _unexpected(error, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last stop before the user
        code = _unexpected(error, debug=debug)
    sys.exit(code or 0)


def _unexpected(error: Exception, *, debug: bool) -> int:
    usage = getattr(error, "format_message", None)  # an error of the command line itself
    if usage is not None:
        show = getattr(error, "show", None)
        if show is not None:
            show()
        return getattr(error, "exit_code", 2)
    if debug:
        raise error
    text = (
        f"ferhpo itself failed: {type(error).__name__}: {error}; run again with --debug for the traceback and report it"
    )
    return _fail(text, 1, debug=debug)


def _refused(error: OSError) -> str:
    """Return what the operating system refused in one sentence."""
    file = f" for {error.filename}" if error.filename else ""
    return (
        f"files must be readable and writable, got '{error.strerror}'{file}; check the path, its permissions and the "
        "room on its disk"
    )


def _fail(text: str, code: int, *, debug: bool) -> int:
    """Show an error, under ``--debug`` with its traceback; called where it is handled."""
    if debug:
        traceback.print_exc()
    else:
        typer.echo(f"error: {' '.join(text.splitlines())}", err=True)
    return code
