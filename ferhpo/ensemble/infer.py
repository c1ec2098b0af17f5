"""Lets an ensemble look at images: runs nets, so it imports torch when it does."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ferhpo import _kept
from ferhpo._layout import WEIGHTS
from ferhpo.ensemble import artifact, pictures
from ferhpo.ensemble.combine import Combination
from ferhpo.errors import CheckpointError, DataError, UsageError, did_you_mean

if TYPE_CHECKING:
    import torch

    from ferhpo.data.cache import Part, Prepared
    from ferhpo.ensemble.members import Members
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import View

TTA = ("own", "none", "flip", "shift")
SHIFTS = ((0, 0), (-2, -2), (2, 2))  # stored pixels down and right


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ensemble:
    """An ensemble in memory: a fitted classifier by scikit-learn's conventions.

    Args:
        classes: names in the order of `probabilities`, which is that of the training images.
        preprocessing: stored_size and channels of the images the members were trained on.
        combination: how the members' probabilities become one.
        models: the members' nets, in evaluation mode, in the order of the combination's weights.
        cards: their model.json.
        tta: name of the views of an image that a member's probabilities are averaged over (`views`).
        device: where the nets are.
    """

    classes: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    combination: Combination
    models: tuple["torch.nn.Module", ...]
    cards: tuple[Mapping[str, Any], ...]
    tta: str
    device: str

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> "Ensemble":
        """Read an ensemble's folder, or the checkpoint of a single net.

        Args:
            path: what `ferhpo ensemble`, `distill` or `train` left.
            device: cpu or cuda[:n].

        Raises:
            CheckpointError: a file of it is damaged or missing.
        """
        from ferhpo.training.predict import load_model

        stored = artifact.read(Path(path))
        models, cards = zip(*(load_model(own, device) for own in stored.folders), strict=True)
        return cls(
            classes=stored.classes,
            preprocessing=stored.preprocessing,
            combination=stored.combination,
            models=tuple(models),
            cards=tuple(cards),
            tta=stored.tta,
            device=device,
        )

    @property
    def classes_(self) -> np.ndarray:
        """Class names in the order of the columns of `predict_proba`: sorted, as scikit-learn's tools take them."""
        return np.sort(self.classes)

    def predict_proba(self, images: Any) -> np.ndarray:
        """Return `probabilities`, columns in the order of `classes_`; arguments as there."""
        return self.probabilities(images)[:, np.argsort(self.classes)]

    def probabilities(self, images: Any) -> np.ndarray:
        """Return ``probs_nc``, float64, rows sum to 1, columns in the order of `classes`.

        Args:
            images: what `pictures.rows` takes: a uint8 array, or a list of paths or Pillow images.

        Raises:
            UsageError: the images have another shape or type.
            DataError: a file cannot be read.
        """
        found = pictures.rows(images, self.preprocessing)
        if not len(found):
            return np.empty((0, len(self.classes)))
        return self.combination.predict(self.member_probabilities(found))

    def member_probabilities(self, images: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return ``probs_mnc`` of uint8 rows at the stored size, of all or of those given by number."""
        members = zip(self.models, self.cards, strict=True)
        return np.stack([forward(m, c, images, rows, self.device, self.tta) for m, c in members])

    def predict(self, images: Any) -> np.ndarray:
        """Return the name of each image's most probable class; arguments as `probabilities`."""
        return np.array(self.classes)[self.probabilities(images).argmax(1)]

    def score(self, images: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy.

        Args:
            images: as of `probabilities`.
            y: a class name an image, or the whole number that is its name. One that the ensemble does not know is
                wrong, as scikit-learn has it.
            sample_weight: what an image counts; None counts all alike.

        Raises:
            UsageError: as `probabilities`, and where ``y`` is not one an image, or no name in it is a class.
            DataError: as `probabilities`.
        """
        said, names = self.predict(images), np.asarray(y).astype(str)
        if names.shape != said.shape:
            msg = f"y must be one class name an image, {len(said)} in all, got shape {names.shape}; give as many"
            raise UsageError(msg)
        if len(names) and not np.isin(names, self.classes).any():
            msg = f"y must hold names of the ensemble's classes, got '{names[0]}'{did_you_mean(names[0], self.classes)}"
            raise UsageError(msg)
        return float(np.average(said == names, weights=sample_weight))

    def fit(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: scikit-learn looks for the method, and members are trained by `ferhpo search`."""
        msg = "an ensemble is fitted by `ferhpo ensemble` and not by fit(); wrap it in sklearn.frozen.FrozenEstimator"
        raise UsageError(msg)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> "Ensemble":
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=True, three_d_array=True),
        )


def views(tta: str, preprocessing: "Preprocessing") -> "tuple[View, ...]":
    """Return what a member's probabilities are averaged over.

    Args:
        tta: own: as it was validated, the image, and its mirror image if it was trained on mirrored ones; none: the
            image alone; flip: image and mirror image; shift: its own views, each also moved by 2 stored pixels up and
            left, and down and right (as airbench does with 1, Jordan 2024, arXiv 2404.00498).
        preprocessing: the member's.

    Raises:
        UsageError: there are no such views.
    """
    from ferhpo.training.predict import MIRRORED, PLAIN, own_views

    check_tta(tta)
    own = {"none": (PLAIN,), "flip": (PLAIN, MIRRORED)}.get(tta) or own_views(preprocessing)
    if tta != "shift":
        return own
    return tuple((mirrored, down, right) for down, right in SHIFTS for mirrored, _, _ in own)


def check_tta(tta: str) -> None:
    """Refuse a name that stands for no views.

    Raises:
        UsageError: with the nearest name.
    """
    if tta not in TTA:
        msg = f"--tta must be a known one, got '{tta}'{did_you_mean(tta, TTA)}"
        raise UsageError(msg)


def member_probabilities(
    folders: Sequence[Path], part: "Part", device: str = "cpu", tta: str = artifact.OWN_VIEWS
) -> np.ndarray:
    """Return ``probs_mnc`` of kept checkpoints on the rows of a split, one net in memory at a time.

    Raises:
        CheckpointError: a file is damaged or missing, or a net says NaN of an image.
    """
    from ferhpo.training.predict import load_model

    probs = []
    for folder in folders:
        model, card = load_model(folder, device)
        probs.append(forward(model, card, part.images, part.rows, device, tta))
        if not np.isfinite(probs[-1]).all():
            msg = f"a member must give finite probabilities, the net of {folder} gives NaN; delete it to leave it out"
            raise CheckpointError(msg)
    return np.stack(probs)


def viewed(members: "Members", data: "Prepared", tta: str, device: str = "cpu") -> "Members":
    """Return members with what they say of the validation rows over other views, kept beside their checkpoints.

    Their latencies are unknown then.

    Args:
        members: some of a study's.
        data: the study's images.
        tta: name of the views (`views`).
        device: where the nets run.

    Raises:
        UsageError: there are no such views.
        DataError: the validation rows are not the study's.
    """
    part = data.part("val")
    if not np.array_equal(part.labels, members.y_n):
        msg = f"--tta {tta} needs the study's validation rows, {data.folder} has others; correct --data"
        raise DataError(msg)
    found = zip(members.folders, members.cards, members.probs_mnc, strict=True)
    probs_mnc = np.stack([_viewed(*member, part, tta, device) for member in found])
    return replace(members, probs_mnc=probs_mnc, latencies=(None,) * len(members.numbers))  # those were of other views


def _viewed(
    folder: Path, card: Mapping[str, Any], own_nc: np.ndarray, part: "Part", tta: str, device: str
) -> np.ndarray:
    """Return one member's ``probs_nc`` over some views: as cached by its training, by an earlier call, or computed."""
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import own_views

    preprocessing = Preprocessing.from_json(card["preprocessing"])
    if views(tta, preprocessing) == own_views(preprocessing):
        return own_nc
    path = folder / f"val_probs-{tta}-{card['sha256'][WEIGHTS][:12]}.npy"
    return _kept.array(path, own_nc.shape, lambda: member_probabilities([folder], part, device, tta)[0])


def forward(
    model: "torch.nn.Module",
    card: Mapping[str, Any],
    images: np.ndarray,
    rows: np.ndarray | None,
    device: str,
    tta: str,
) -> np.ndarray:
    """Return one member's ``probs_nc`` in float64, rows normalised anew."""
    from ferhpo.training.images import Preprocessing
    from ferhpo.training.predict import like_validation, probabilities

    preprocessing = Preprocessing.from_json(card["preprocessing"])
    probs_nc = probabilities(
        model,
        images,
        preprocessing,
        rows=rows,
        device=device,
        precision=like_validation(card, device),
        views=views(tta, preprocessing),
    ).astype(np.float64)
    return probs_nc / probs_nc.sum(1, keepdims=True)


def latency_ms(folder: Path, tta: str = artifact.OWN_VIEWS, runs: int = 30) -> float:
    """Return the median milliseconds that a kept checkpoint takes for one image on a CPU, after three to warm up.

    Args:
        folder: of the checkpoint.
        tta: name of the views (`views`), each of which takes its time.
        runs: that are timed.
    """
    from ferhpo.training.predict import load_model

    model, card = load_model(folder)
    size, channels = card["preprocessing"]["stored_size"], card["preprocessing"]["channels"]
    image = np.zeros((1, size, size, channels), np.uint8)
    times = []
    for _ in range(3 + runs):
        start = time.perf_counter()
        forward(model, card, image, None, "cpu", tta)
        times.append(time.perf_counter() - start)
    return float(np.median(times[3:]) * 1000)
