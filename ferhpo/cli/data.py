"""`ferhpo data`: look at images before anything is trained on them."""

from typing import Annotated

import typer

from ferhpo.cli.options import DataOption, Format, FormatOption
from ferhpo.cli.output import print_facts, print_json, print_table

app = typer.Typer(help="Look at a set of images.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Look at a set of images."""


@app.command("inspect")
def inspect_(
    *,
    data: DataOption = None,
    size: Annotated[int, typer.Option(help="Pixels a side to which images of other sizes are brought.")] = 48,
    output: FormatOption = Format.table,
) -> None:
    """Count classes, duplicates, leaks between splits, conflicting labels and blank images.

    Without --data it looks at the rendered faces.
    """
    from ferhpo.data.inspect import inspect
    from ferhpo.data.load import load
    from ferhpo.space.spec import DataSpec

    found = inspect(load(DataSpec(format="auto" if data else "synthetic", size=size), data))
    if output is Format.json:
        print_json(found)
        return
    classes = list(next(iter(found["splits"].values()))["counts"])
    rows = [
        (name or "all", split["rows"], *(split["counts"][c] for c in classes))
        for name, split in found["splits"].items()
    ]
    print_table(("split", "rows", *classes), rows)
    leaks = found["cross_split_duplicates"]
    print_facts(
        [
            ("duplicates", f"{found['duplicates']} rows beyond the first of each identical group"),
            *((f"{pair} duplicates", f"{n} rows of the second stand in the first") for pair, n in leaks.items()),
            ("conflicting labels", f"{found['conflicting_labels']} groups of identical images"),
            ("blank images", found["blank_images"]),
        ]
    )
