"""An ensemble on another data set: trained on one, tested on the other, over the classes that both have."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo import __version__
from ferhpo.data import names
from ferhpo.data.splits import DROPPED, TEST, hashes
from ferhpo.ensemble.evaluate import mcnemar
from ferhpo.ensemble.infer import Ensemble, member_probabilities
from ferhpo.errors import DataError
from ferhpo.scoring import evaluated

if TYPE_CHECKING:
    from ferhpo.data.cache import Prepared
    from ferhpo.ensemble.outcome import EnsembleReport
    from ferhpo.study.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What an ensemble and the best single trial say of another set's test rows.

    Args:
        source: path of the other set, None for rendered images.
        format: its format.
        fingerprint: its content's.
        classes: that both sets have; probabilities are scaled to sum to 1 over them.
        n: rows that were scored.
        other_classes: test rows left out because the study has no such class.
        seen: test rows left out because their image trained or validated in the study.
        sealed: scored rows whose image stands in the study's own sealed test split: with any it is an opening of that.
        ensemble: `scoring.evaluated`.
        best_single: likewise.
        mcnemar_p: exact two-sided p that the two are right equally often.
    """

    source: str | None
    format: str
    fingerprint: str
    classes: tuple[str, ...]
    n: int
    other_classes: int
    seen: int
    sealed: int
    ensemble: Mapping[str, Any]
    best_single: Mapping[str, Any]
    mcnemar_p: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"classes": list(self.classes)}


def common_classes(study: "Study", other: "Prepared") -> tuple[str, ...]:
    """Return the classes that a study and another set share, by name (aliases count), as the study calls them.

    Raises:
        DataError: they are fewer than two.
    """
    here = tuple(study.data["classes"])
    shared = names.common(here, names.called(other.classes, here))
    if len(shared) < 2:
        wanted, got = (", ".join(classes)[:120] for classes in (here, other.classes))
        msg = f"--on needs data with at least 2 of the study's classes ({wanted}), got {got}; name other data"
        raise DataError(msg)
    return shared


def evaluate_elsewhere(
    study: "Study",
    report: "EnsembleReport",
    own: "Prepared",
    other: "Prepared",
    command: str,
    *,
    tta: str,
    device: str = "cpu",
) -> Elsewhere:
    """Score a stored ensemble and the best single trial on another set's test rows, and write it down in the study.

    That the rows are opened is recorded before a figure is computed, as an opening of the study's own test split where
    the two share test images. Labels are mapped by name. Rows whose image the study's nets were trained on or chosen by
    are left out, so that sets which share images may be named.

    Args:
        study: of the ensemble.
        report: of the ensemble, whose folder holds it.
        own: the study's images.
        other: images of the same size and channels.
        command: what the user typed, for the record.
        tta: views of an image, as of the ensemble.
        device: where the nets run.

    Raises:
        DataError: there are fewer than two common classes, images of another shape, or no test row is left.
    """
    shared = common_classes(study, other)
    if other.images.shape[1:] != own.images.shape[1:]:
        (size, _, channels), got = own.images.shape[1:], "x".join(map(str, other.images.shape[1:]))
        msg = f"--on needs images kept at {size} pixels with {channels} channels, as the study's are, got {got}"
        raise DataError(msg)
    rows_n, labels_n, counts = _rows(own, other, shared)
    facts = {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "version": __version__,
        "command": command,
        "source": None if other.source is None else str(other.source),
        "format": other.format,
        "fingerprint": other.fingerprint,
    }
    place = study.record_elsewhere(facts)
    if counts["sealed"]:
        study.record_opening(command, __version__)
    part = other.open_test()
    columns = [tuple(study.data["classes"]).index(name) for name in shared]
    ensemble = Ensemble.load(report.folder, device)
    whole_nc = ensemble.combination.predict(ensemble.member_probabilities(part.images, rows_n))
    single = next(t.checkpoint for t in study.candidates() if t.number == report.best_number)
    assert single is not None
    (single_nc,) = member_probabilities([single], replace(part, rows=rows_n), device, tta)
    both = {name: _among(probs_nc, columns) for name, probs_nc in (("e", whole_nc), ("s", single_nc))}
    groups_n = np.array(other.group[rows_n])
    found = Elsewhere(
        source=facts["source"],
        format=other.format,
        fingerprint=other.fingerprint,
        classes=shared,
        n=len(rows_n),
        **counts,
        ensemble=evaluated(both["e"], labels_n, groups_n),
        best_single=evaluated(both["s"], labels_n, groups_n),
        mcnemar_p=mcnemar(both["e"], both["s"], labels_n, groups_n),
    )
    study.record_elsewhere({**facts, **found.to_json()}, place)
    return found


def _rows(own: "Prepared", other: "Prepared", shared: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Return places and labels (within the shared classes) of the rows to be scored, and how many were left out."""
    rows_n = np.flatnonzero(other.split == TEST)
    called = names.called(other.classes, own.classes)
    place_c = np.array([shared.index(name) if name in shared else -1 for name in called])
    labels_n = place_c[other.labels[rows_n]]
    known_n = labels_n >= 0
    used = np.flatnonzero((own.split != TEST) & (own.split != DROPPED))
    seen_n = np.isin(hashes(other.images[rows_n]), hashes(own.images[used]))
    kept_n = known_n & ~seen_n
    if not kept_n.any():
        msg = (
            f"--on needs test rows that the study has not seen, got {int((~known_n).sum())} of other classes and "
            f"{int((known_n & seen_n).sum())} whose image trained or validated here; name other data"
        )
        raise DataError(msg)
    sealed_n = np.isin(hashes(other.images[rows_n[kept_n]]), hashes(own.images[own.split == TEST]))
    counts = {
        "other_classes": int((~known_n).sum()),
        "seen": int((known_n & seen_n).sum()),
        "sealed": int(sealed_n.sum()),
    }
    return rows_n[kept_n], labels_n[kept_n], counts


def _among(probs_nc: np.ndarray, columns: list[int]) -> np.ndarray:
    """Return the probabilities of some classes, scaled to sum to 1 a row."""
    some_nc = np.maximum(probs_nc[:, columns], 1e-12)
    return some_nc / some_nc.sum(1, keepdims=True)
