"""`ferhpo compare`: known systems as described, searched and combined, in one table."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferhpo.cli.options import DATA, DeviceOption, Format, FormatOption, command_line, device_of
from ferhpo.cli.output import print_json, print_table, say
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT, find_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferhpo.compare.run import Scale, System
    from ferhpo.compare.table import Row
    from ferhpo.space.spec import StudySpec


def compare(
    *,
    systems: Annotated[
        list[str] | None,
        typer.Argument(help="Studies to compare.", show_default="the nine of studies/starting_points"),
    ] = None,
    minutes_each: Annotated[
        float, typer.Option(help="Minutes of training as described, and again of searching, for each system.")
    ] = 4.0,
    image_size: Annotated[
        int | None, typer.Option(help="Pixels a side that every net sees.", show_default="each study's own")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", help=DATA, show_default="each study's own, else rendered faces")
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Pretrained weights (safetensors), for the net they fit; may be given many times."),
    ] = None,
    device: DeviceOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the comparison: a study for each row, and the table.")] = ROOT
    / "compare",
    output: FormatOption = Format.table,
) -> int:
    """Run known systems as described and searched for the same time, and set them side by side with what was reported.

    The same command again goes on, and skips what is done. The test split is opened once for each study, when it is
    over; nothing is chosen by it.
    """
    from ferhpo.cli.live import watching
    from ferhpo.compare.run import Place, Scale
    from ferhpo.compare.run import compare as run

    scale = Scale(minutes=minutes_each, image_size=image_size)
    specs = chosen(systems or [], out)
    place = Place(out=out, data=data, weights=tuple(weights or ()), device=_place(device), command=command_line())

    def so_far(some: "Sequence[System]") -> None:
        _write(out, some, scale, last=False)

    found, interrupted = run(specs, scale, place, watch=watching, tell=say, done=so_far)
    lines = _write(out, found, scale, last=True)
    if output is Format.json:
        print_json(lines)
    else:
        show(lines)
    if interrupted:
        say("interrupted; the same command goes on")
        return 130
    say(f"written to {out / 'compare.md'}, .csv, .json and .html")
    return 1 if any(system.errors for system in found) else 0


def chosen(names: "Sequence[str]", out: Path) -> "list[StudySpec]":
    """Return the study files of the systems that are named, each once; all known ones if none is.

    Raises:
        UsageError: there is no such study, or two of one name.
    """
    from ferhpo.compare.systems import SYSTEMS
    from ferhpo.search.runner import check_architectures

    specs = [find_spec(f"starting_points/{name}" if name in SYSTEMS else name, out) for name in names or SYSTEMS]
    twice = {spec.name for spec in specs if [s.name for s in specs].count(spec.name) > 1}
    if twice:
        msg = f"a comparison takes each system once, got {', '.join(sorted(twice))} twice; leave one out"
        raise UsageError(msg)
    for spec in specs:
        check_architectures(spec)
    return specs


def show(lines: "Sequence[Row]") -> None:
    """Print the table."""
    from ferhpo.compare.table import HEADS, cell

    shown = [column for column in HEADS if column not in {"data", "note"}]
    rows = [[cell(column, line[column]) for column in shown] for line in lines]
    print_table([HEADS[column] for column in shown], rows)


def _place(device: str | None) -> str:
    place = device_of(device)
    if ":" in place:  # searches take the GPU that Ray gives them
        msg = f"compare takes --device cpu or cuda, got '{place}'; set CUDA_VISIBLE_DEVICES to choose a GPU"
        raise UsageError(msg)
    return place


def _write(out: Path, found: "Sequence[System]", scale: "Scale", *, last: bool) -> "list[Row]":
    """Write table and page of what there is so far, and return the table's lines; the last time with a row of all."""
    from dataclasses import asdict

    from ferhpo import __version__
    from ferhpo.compare.page import write_page
    from ferhpo.compare.run import KINDS
    from ferhpo.compare.table import rows, write
    from ferhpo.compare.together import together

    judged = [out / f"{system.spec.name}-{kind}" for system in found for kind in KINDS if kind in system.found]
    joined, outside = together(judged, "accuracy") if last else (None, [])
    lines = rows(found, joined, outside)
    size = "each study's own size" if scale.image_size is None else f"{scale.image_size} pixels"
    lead = (
        f"{scale.minutes:g} minutes a system as described and as many searched, at {size}. Validation figures of "
        "ensembles are cross-fitted; no test figure chose anything."
    )
    date = datetime.now().astimezone().isoformat(timespec="seconds")
    facts = {"ferhpo": __version__, "date": date, "command": command_line(), "scale": asdict(scale)}
    write(out, lines, facts, lead)
    write_page(out, lines, found, lead)
    return lines
