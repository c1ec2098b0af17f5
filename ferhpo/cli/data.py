"""`ferhpo data`: look at images before anything is trained on them, and prepare them once for many studies."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferhpo import _layout
from ferhpo.cli.opened import images_of
from ferhpo.cli.options import Format, FormatOption, RootOption, StorageOption, replaceable
from ferhpo.cli.output import print_facts, print_json, print_table, say
from ferhpo.cli.study import open_study
from ferhpo.errors import DataError, StudyError, UsageError
from ferhpo.study.find import ROOT, find_spec

if TYPE_CHECKING:
    from ferhpo.data.problems import Problem
    from ferhpo.data.raw import RawData
    from ferhpo.space.sections import DataSpec

app = typer.Typer(
    help="Look at a set of images, or prepare it once for many studies.", no_args_is_help=True, rich_markup_mode=None
)

DataListOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        "-d",
        help="A csv or a folder; given again, the training images of more sets are added over the common classes.",
        show_default="rendered faces",
    ),
]


@app.callback()
def _group() -> None:
    """Look at a set of images, or prepare it once for many studies."""


@app.command("inspect")
def inspect_(
    *,
    data: DataListOption = None,
    study: Annotated[
        str | None,
        typer.Option("--study", "-s", help="A study with trained trials, which say whose label is probably wrong."),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Pixels a side to which images of other sizes are brought.", show_default="48")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with a contact sheet of each problem.", dir_okay=False)
    ] = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Count classes, duplicates, near duplicates, leaks between splits, conflicting labels, blank and odd images.

    Without --data and --study it looks at the rendered faces.
    """
    from ferhpo.data.inspect import inspect
    from ferhpo.data.load import load
    from ferhpo.data.problems import problems

    if study is not None and (size is not None or len(data or ()) > 1):
        got = "--size" if size is not None else "a second --data"
        msg = f"--study says how its images are read, got {got} with it; leave that out"
        raise UsageError(msg)
    if study is None:
        spec = _spec(data, size)
        raw = load(spec, data[0] if data else None)
        found = problems(raw)
    else:
        spec, raw, suspected = _of_study(study, data[0] if data else None, root, storage)
        found = [*problems(raw), suspected]
    facts = inspect(raw, found)
    if html is not None:
        from ferhpo.report.data_page import write_data_page

        say(f"written to {write_data_page(html, _name(data, study), raw, facts, found, spec.frames)}")
    if output is Format.json:
        print_json(facts)
    else:
        _show(facts, found)


@app.command(short_help="Prepare images once, cleaned if wanted, for any study.")
def prepare(
    *,
    data: DataListOption = None,
    study: Annotated[
        str | None, typer.Option("--study", "-s", help="A study file whose [data] says how the images are kept.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The folder.", show_default="NAME-prepared here", file_okay=False)
    ] = None,
    size: Annotated[int | None, typer.Option(help="Pixels a side.", show_default="the study's, else 48")] = None,
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Also drop images that are nearly the same as one held out.")
    ] = False,
    drop_blank: Annotated[
        bool, typer.Option("--drop-blank", help="Leave out training images of one single colour.")
    ] = False,
    align: Annotated[
        bool,
        typer.Option("--align", help="Turn and scale faces so that their eyes stand in one place ([align] extra)."),
    ] = False,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Read, split and store images in a folder, which --data of any command takes.

    Test images always stay, so that figures can be compared. Of identical images in two splits the training image is
    always dropped, and the validation image before the test image.
    """
    from ferhpo.data.cache import ARRAYS, write_prepared
    from ferhpo.data.summary import in_one_line

    spec, path = _spec(data, size), data[0] if data else None
    if study is not None:
        from ferhpo.study.source import located, recorded_data

        found = find_spec(study, root)
        own, named = located(found, given=path, record=recorded_data(root, found.name))
        spec, path = replace(own, size=own.size if size is None else size, also=spec.also or own.also), named
    spec = replace(spec, drop_leaks=drop_leaks or spec.drop_leaks, drop_blank=drop_blank or spec.drop_blank)
    folder = _folder_for(path, spec) if out is None else out
    replaceable(folder, (_layout.PREPARED, *(f"{name}.npy" for name in ARRAYS)), "prepared images")
    made = write_prepared(spec, path, folder, _aligner(spec.frames) if align else lambda raw: raw)
    if output is Format.json:
        print_json({"folder": str(made.folder.resolve()), "counts": made.counts, "dropped": made.dropped})
        return
    _print_counts({name: {"rows": sum(counts.values()), "counts": counts} for name, counts in made.counts.items()})
    say(in_one_line(made))
    say(f"written to {folder}; --data {folder} uses it")


def _aligner(frames: int) -> "Callable[[RawData], RawData]":
    from ferhpo.data.align import aligned, finder

    if frames > 1:
        msg = f"--align takes stills, got sequences of {frames} frames; leave it out, or set frames = 1"
        raise UsageError(msg)
    find = finder()

    def change(raw: "RawData") -> "RawData":
        made, found = aligned(raw, find)
        say(f"eyes found in {found} of {len(raw.images)} images, which were aligned; the others stay as they are")
        return made

    return change


def _folder_for(path: Path | None, spec: "DataSpec") -> Path:
    """Return where images are prepared without ``--out``.

    Raises:
        UsageError: other images are prepared there.
    """
    from ferhpo.data.cache import open_prepared
    from ferhpo.space.files import absolute

    source = None if path is None else absolute(path)
    asked = (source, *(str(absolute(Path(more))) for more in spec.also))
    name = "rendered-faces" if source is None else source.name if source.is_dir() else source.stem
    folder = Path(f"{name}-prepared")
    with suppress(DataError):  # what is there is not whole
        there = open_prepared(folder)
        held = (there.source, *there.further["also"])
        if held != asked:
            other, got = (" and ".join(str(one or "rendered faces") for one in them) for them in (held, asked))
            msg = f"{folder} holds images of {other}, got {got}; name another folder with --out"
            raise UsageError(msg)
    return folder


def _spec(data: Sequence[Path] | None, size: int | None) -> "DataSpec":
    from ferhpo.space.sections import DataSpec

    spec = DataSpec(format="auto" if data else "synthetic", also=tuple(map(str, (data or ())[1:])))
    return spec if size is None else replace(spec, size=size)


def _of_study(study: str, data: Path | None, root: Path, storage: str | None) -> "tuple[DataSpec, RawData, Problem]":
    """Return how a study keeps its images, these, and the validation rows whose label its best trials doubt."""
    from ferhpo.data.load import load
    from ferhpo.data.problems import suspects
    from ferhpo.ensemble import members
    from ferhpo.study.source import located

    opened = open_study(study, root, storage)
    prepared = images_of(opened, root, data)
    trials = opened.candidates()[:5]
    if not trials:
        msg = (
            f"labels are doubted by trials with a kept checkpoint, study '{study}' has none; run `ferhpo search` first"
        )
        raise StudyError(msg)
    best = members.read(opened, trials)
    spec, path = located(opened.spec, given=data, record=opened.data)
    raw = load(spec, path)
    return spec, raw, suspects(best.probs_mnc.mean(0), best.y_n, prepared.part("val").rows)


def _name(data: Sequence[Path] | None, study: str | None) -> str:
    if data:
        return " + ".join(path.absolute().name for path in data)
    return f"images of {study}" if study else "rendered faces"


def _show(facts: dict[str, Any], found: "Sequence[Problem]") -> None:
    from ferhpo.data.summary import REASONS

    _print_counts(facts["splits"])
    leaks, near = facts["cross_split_duplicates"], facts["cross_split_near_duplicates"]
    people = facts["cross_split_groups"]
    print_facts(
        [
            ("imbalance", f"the largest class has {facts['imbalance']:g} times the rows of the smallest"),
            ("duplicates", f"{facts['duplicates']} rows beyond the first of each identical group"),
            *((f"{pair} duplicates", f"{n} rows of the second stand in the first") for pair, n in leaks.items()),
            ("near duplicates", f"{facts['near_duplicates']} groups of nearly the same image"),
            *((f"{pair} near duplicates", f"{n} more rows of the second") for pair, n in near.items()),
            *((f"{pair} groups", f"{n} rows of the second have theirs in the first") for pair, n in people.items()),
            ("conflicting labels", f"{facts['conflicting_labels']} groups of identical images"),
            ("blank images", facts["blank_images"]),
            *(("left out", f"{n} {REASONS[why]}") for why, n in facts["left_out"].items()),
        ]
    )
    told = {"duplicates", "leaks", "near_duplicates", "near_leaks", "conflicts"}
    rows = [(p.title, p.count, ", ".join(str(row) for row, *_ in p.rows[:8])) for p in found if p.name not in told]
    print_table(("problem", "rows", "first rows, from 0"), [row for row in rows if row[1]])


def _print_counts(splits: dict[str, Any]) -> None:
    classes = list(next(iter(splits.values()))["counts"])
    rows = [(name, split["rows"], *(split["counts"][c] for c in classes)) for name, split in splits.items()]
    print_table(("split", "rows", *classes), rows)
