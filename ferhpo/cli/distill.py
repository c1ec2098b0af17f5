"""`ferhpo distill`: one small net in place of an ensemble."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferhpo.cli.opened import find_ensemble, images_of, opened_test, study_of
from ferhpo.cli.options import (
    DataOption,
    DeviceOption,
    EnsembleOption,
    EnsembleStudyOption,
    EpochsOption,
    Format,
    FormatOption,
    MinutesOption,
    RootOption,
    SetOption,
    StorageOption,
    TestOption,
    device_of,
    replaceable,
)
from ferhpo.cli.output import SCORES, cell, print_json, print_table, say, score_row
from ferhpo.cli.train import CHECKPOINT, configure
from ferhpo.errors import UsageError
from ferhpo.study.find import ROOT

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared
    from ferhpo.study.study import Study


def distill(
    *,
    into: Annotated[str, typer.Option(help="Architecture of the net, as `ferhpo models` lists them.")],
    ensemble: EnsembleOption = None,
    study: EnsembleStudyOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    minutes: MinutesOption = None,
    epochs: EpochsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the checkpoint.", show_default="student/ in the study's folder")
    ] = None,
    test: TestOption = False,
    device: DeviceOption = None,
    storage: StorageOption = None,
    root: RootOption = ROOT,
    output: FormatOption = Format.table,
) -> None:
    """Train one net on what an ensemble says of the training images, and say what is kept.

    Its settings are the study's defaults, changed by --set; with distill=0.5 the labels count as much as the ensemble.
    """
    folder = find_ensemble(ensemble, study, root)
    opened = study_of(folder, study, root, storage)
    names = {word.partition("=")[0] for word in set_ or []}
    if "arch" in names:
        msg = f"--into names the student's net, got arch in --set beside {into}; leave it out"
        raise UsageError(msg)
    settings = [f"arch={into}", *(() if "distill" in names else ("distill=1",)), *(set_ or [])]
    config = configure(opened.spec, settings, epochs=epochs, minutes=minutes)
    if not config.distill:
        msg = "a student learns from its teacher, got distill=0, the labels alone; take more, or run `ferhpo train`"
        raise UsageError(msg)
    target = replaceable(out or root / opened.name / "student", CHECKPOINT, "a checkpoint")
    place = device_of(device)
    if target.is_relative_to(folder.resolve()):
        msg = f"a student needs a folder apart from its teacher's, got {target}; name another with --out"
        raise UsageError(msg)
    prepared = images_of(opened, root, data)
    if test:  # what may not be opened is refused before the training
        from ferhpo.ensemble.build import sealed_data
        from ferhpo.search.runner import settled_study

        sealed_data(opened, prepared)
        opened = settled_study(opened.spec, opened.data, root, opened.url)
    say(f"teacher: {folder}")
    from ferhpo.export.distill import distill as teach
    from ferhpo.metrics import metric

    name = opened.spec.metric
    made = teach(
        folder,
        config,
        prepared,
        target,
        metric=metric(name),
        device=place,
        seconds=None if minutes is None else 60 * minutes,
        watch=lambda r: say(f"epoch {r.epoch}: {name} {cell(r.figures[name])} ({r.seconds:.1f} s)"),
        asked=lambda done, rows: say(f"teacher: {done} of {rows} training images"),
    )
    found = made.to_json() | {"test": open_test(opened, prepared, folder, target, place) if test else None}
    if output is Format.json:
        print_json(found)
    else:
        show(found)
    say(f"written to {target}; `ferhpo predict --ensemble {target} face.png` uses it")


def open_test(study: "Study", prepared: "Prepared", folder: Path, student: Path, device: str) -> dict[str, Any]:
    """Open the sealed test split for student and ensemble: first recorded in the study, then scored."""
    from ferhpo.export.distill import probabilities
    from ferhpo.scoring import scored

    part, times = opened_test(study, prepared)
    both = {"student": student, "ensemble": folder}
    figures = {n: scored(probabilities(where, part, device), part.labels, part.groups) for n, where in both.items()}
    return figures | {"rows": len(part.labels), "openings": times}


def show(found: dict[str, Any]) -> None:
    """Print student, ensemble and best single trial side by side."""
    for split in ("val", "test"):
        rows = found[split] or {}
        body = [score_row(name, rows[name]) for name in ("student", "ensemble", "best_single") if rows.get(name)]
        if body:
            print_table(
                SCORES, body, title="validation" if split == "val" else f"test, opened {rows['openings']} times"
            )
    costs = [(name, found["parameters"][name], found["latency_ms"][name]) for name in ("student", "ensemble")]
    kept = found["accuracy_kept"]
    title = None if kept is None else f"{kept:.1%} of the accuracy is kept"
    print_table(("", "parameters", "ms an image"), costs, title=title)
