"""How far a training is, and the way of it into an epoch's files and back."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from ferhpo.errors import CheckpointError, last_line
from ferhpo.metrics import Metric
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint
from ferhpo.training.guard import device_is_lost, out_of_memory
from ferhpo.training.precision import Precision
from ferhpo.training.schedule import Plateau
from ferhpo.training.step import Step
from ferhpo.training.validation import Evaluated

PROBS = "best/probs"  # no weight is called so
SCALARS = ("step", "spent", "idle", "last_loss", "waited", "parts", "threads")  # of Progress, as they are


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a training is, beside the tensors of its `Step`.

    Args:
        epoch: epochs finished, or under way.
        step: updates made.
        spent: seconds of training and validation.
        idle: seconds of a time budget that went by before a first step, compiling above all.
        last_loss: last finite loss, None before the first step.
        waited: epochs since the best one, where patience is set.
        best: the best epoch, where patience is set.
        plateau: of the schedule of that name.
        parts: that a batch is computed in; 2 once its whole did not fit into memory.
        threads: CPU threads of its parts, in their order; more than one where a run went on with another number.
    """

    epoch: int = 0
    step: int = 0
    spent: float = 0.0
    idle: float = 0.0
    last_loss: float | None = None
    waited: int = 0
    best: Evaluated | None = None
    plateau: Plateau = field(default_factory=Plateau)
    parts: int = 1
    threads: list[int] = field(default_factory=list)

    def watch(self, now: Evaluated, metric: Metric, config: TrialConfig) -> bool:
        """Take in an epoch's validation; keep the best one where patience is set, and tell whether it is lost."""
        value = now.figures[metric.name]
        self.plateau = self.plateau.after(value, metric, config.plateau_patience)
        if not config.patience:
            return False
        if self.best is None or metric.better(value, self.best.figures[metric.name]):
            self.best = replace(now, weights={n: w.clone() for n, w in now.weights.items()})
            self.waited = 0
        else:
            self.waited += 1
        return self.waited >= config.patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a training is made from, and must be made from when it goes on.

    Args:
        config: every setting.
        data: the data's fingerprint.
        teacher: the soft labels' fingerprint, None without.
    """

    config: TrialConfig
    data: str
    teacher: str | None


def pack(origin: Origin, precision: Precision, step: Step, progress: Progress) -> checkpoint.State:
    """Return what a training needs to go on; its tensors are the live ones."""
    tensors = step.tensors()
    scalars = {name: getattr(progress, name) for name in SCALARS}
    scalars |= {"precision": precision.to_json(), "device": step.device_type}
    scalars |= {"teacher": origin.teacher, "best": None}
    scalars["plateau"] = asdict(progress.plateau)
    if progress.best is not None:
        tensors |= {f"best/{name}": tensor for name, tensor in progress.best.weights.items()}
        tensors[PROBS] = torch.from_numpy(progress.best.probs)
        scalars["best"] = {"epoch": progress.best.epoch, "figures": progress.best.figures}
    return checkpoint.State(
        config=origin.config.params(),
        fingerprint=origin.data,
        epoch=progress.epoch,
        scalars=scalars,
        tensors=tensors,
    )


def copied(state: checkpoint.State) -> checkpoint.State:
    """Return a state whose tensors stand by themselves, in the CPU's memory."""
    return replace(state, tensors={name: tensor.to("cpu", copy=True) for name, tensor in state.tensors.items()})


def unpack(state: checkpoint.State, step: Step) -> Progress:
    """Put a packed training back into its `Step`, or a new one of its settings, and return how far it was.

    Raises:
        KeyError, IndexError, TypeError, ValueError, RuntimeError: the state is of other settings.
    """
    step.load({n: t for n, t in state.tensors.items() if not n.startswith("best/")})
    kept, best = state.scalars["best"], None
    if kept is not None:  # its tensors are copied, since what was read is mapped from a file that is deleted soon
        tensors = {n: t.clone() for n, t in state.tensors.items() if n.startswith("best/")}
        probs = tensors.pop(PROBS).numpy()
        best = Evaluated(weights={n.removeprefix("best/"): t for n, t in tensors.items()}, probs=probs, **kept)
    numbers = {name: state.scalars[name] for name in SCALARS}
    return Progress(epoch=state.epoch, best=best, plateau=Plateau(**state.scalars["plateau"]), **numbers)


def precision_before(state: checkpoint.State, device: str) -> Precision | None:
    """Return how a training computed so far; None if that was on a device of another kind."""
    kind = torch.device(device).type
    return Precision(**state.scalars["precision"]) if state.scalars.get("device", kind) == kind else None


def unpack_read(state: checkpoint.State, step: Step, folder: Path) -> Progress:
    """Unpack what was read from a folder.

    Raises:
        CheckpointError: it does not fit its own settings.
        RuntimeError: the device failed, or its memory does not suffice.
    """
    try:
        return unpack(state, step)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        if device_is_lost(error) or out_of_memory(error):
            raise
        msg = f"checkpoint {folder} does not fit its own settings ({last_line(error)}); train again"
        raise CheckpointError(msg) from error


def read(folder: Path, origin: Origin) -> checkpoint.State:
    """Read what to resume from.

    Raises:
        CheckpointError: it is damaged or of another training.
    """
    state = checkpoint.read_state(folder)
    wanted = origin.config.params()
    had = TrialConfig().params() | state.config  # a setting that is newer than the state has its default
    other = sorted(k for k in had if wanted.get(k) != had[k])
    if other:
        said = ", ".join(f"{k} {had[k]!r} there, {wanted.get(k)!r} here" for k in other[:3])
        msg = f"checkpoint {folder} must be of the same settings to go on from, it differs in {said}; start anew"
        raise CheckpointError(msg)
    for what, there, here in (
        ("images", state.fingerprint, origin.data),
        ("soft labels", state.scalars.get("teacher"), origin.teacher),
    ):
        if there != here:
            msg = f"checkpoint {folder} must be of the same {what} to go on from, it was made with others; start anew"
            raise CheckpointError(msg)
    return state
