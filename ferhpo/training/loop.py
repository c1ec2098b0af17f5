"""The training loop: a generator of one `EpochResult` an epoch; whoever takes them decides to stop.

It knows neither Ray, Optuna nor the study. Every random number comes from a seed derived from the config's seed, what it is
for and the epoch, so that a run resumed after any epoch equals the uninterrupted one, to the bit on a CPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ferhpo._seeding import derive
from ferhpo.data.augment import augment, strengths
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError, DataError, TrainingError
from ferhpo.metrics import Metric, figures
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint, losses, optim, precision, schedule
from ferhpo.training.clock import Clock
from ferhpo.training.ema import Ema
from ferhpo.training.images import Preprocessing, Rows
from ferhpo.training.predict import probabilities

CHECK_EVERY = 20  # steps between looks at the loss on a GPU, where a look waits for the device; on a CPU every step
PRECISIONS = "precision.json"  # beside the prepared images: what was measured on this machine


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """What one epoch came to; value, probabilities and files are of the same weights.

    Args:
        epoch: epochs finished, from 1.
        figures: `metrics.figures` of the validation rows with the evaluated weights (EMA where on, mirror-averaged).
        train_loss: mean over the epoch's steps.
        lr: learning rate of the last step.
        seconds: of this epoch, validation included.
        images_per_second: of the training steps.
        done: the budget is finished or the training stopped early; no further epoch follows.
        restored: with patience, at the end: the epoch whose weights, figures and probabilities these are.
        details: parameters, precision, device, threads, torch, batch_size as it came out.
        save: writes this epoch's files (`_layout`) into an empty folder; to be called before the next epoch is asked for.
    """

    epoch: int
    figures: dict[str, float]
    train_loss: float
    lr: float
    seconds: float
    images_per_second: float
    done: bool
    restored: int | None
    details: dict[str, Any]
    save: Callable[[Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Weights on the CPU or live ones, with what they score."""

    epoch: int
    weights: dict[str, torch.Tensor]
    figures: dict[str, float]
    probs: np.ndarray


def train(
    config: TrialConfig,
    data: Prepared,
    *,
    metric: Metric,
    device: str = "cpu",
    seconds: float | None = None,
    resume: Path | None = None,
    provenance: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[EpochResult]:
    """Train one configuration and yield a result an epoch.

    Args:
        config: everything that decides the result.
        data: its train rows train, its val rows validate.
        metric: what patience watches.
        device: cpu or cuda[:n].
        seconds: wall time from the first step to the end of the last validation, in place of the config's epochs.
        resume: an epoch's folder with its state; the run goes on after that epoch.
        provenance: goes into the checkpoints' cards.

    Raises:
        DataError: a class has no training row, or there are too few rows.
        ModelError: the net or its weights cannot be had.
        CheckpointError: ``resume`` is damaged or of another training.
        TrainingError: the loss is not finite, the time or the memory does not suffice.
    """
    run = _Run(config, data, metric, device, resume, provenance)
    try:
        yield from run.epochs(seconds)
    except torch.OutOfMemoryError as error:
        msg = f"a step must fit into the memory of {device}, one of {run.batch} images did not; set a smaller batch_size or image_size"
        raise TrainingError(msg) from error


class _Run:
    """A training under way."""

    def __init__(
        self, config: TrialConfig, data: Prepared, metric: Metric, device: str, resume: Path | None, provenance: Mapping[str, Any]
    ) -> None:
        self.config, self.data, self.metric, self.device, self.provenance = config, data, metric, device, provenance
        self.part, self.val = data.part("train"), data.part("val")
        self.counts = _counts(data, self.part.labels, self.val.labels)
        self.batch = min(config.batch_size, len(self.part.labels))
        channels = data.images.shape[-1]
        self.preprocessing = Preprocessing(
            stored_size=data.images.shape[1],
            image_size=config.image_size,
            channels=channels,
            mean=tuple(data.mean),
            std=tuple(data.std),
            mirror=config.strength("flip") > 0,
        )
        self.epoch = self.step = self.waited = 0
        self.spent = 0.0
        self.best: Evaluated | None = None
        state = None if resume is None else _state(resume, config, data)
        self.model = self._model(channels, fresh=state is None)
        if state is None:
            self.precision = precision.choose(config, self.model, channels, device, data.folder.parent / PRECISIONS)
        else:
            self.precision = precision.Precision(**state.scalars["precision"])
        self.model.to(memory_format=self.precision.memory_format)
        self.ema = Ema(self.model, config.ema) if config.ema else None
        self.optimizer = optim.build(self.model, config)
        self.loss = losses.build(config, self.counts.to(device))
        self.rows = Rows(data.images, self.part.rows, device, f"{data.folder} {data.fingerprint} train")
        self.labels = torch.from_numpy(self.part.labels)
        self.strengths = strengths(config)
        self.fill = torch.tensor(data.mean, device=device)[:, None, None]
        if state is not None and resume is not None:
            self._restore(state, resume)

    def epochs(self, seconds: float | None) -> Iterator[EpochResult]:
        """Yield until the budget is finished or patience is lost."""
        clock = None if seconds is None else self._clock(seconds)
        done = clock is None and self.epoch >= self.config.epochs
        while not done:
            start = time.perf_counter()
            self.epoch += 1
            train_loss, lr, rate = self._fit(clock)
            now = self._evaluate(clock)
            self.spent = self.spent + time.perf_counter() - start if clock is None else clock.spent()
            lost = self._watch(now)
            out_of_time = clock is not None and not clock.epoch_fits()
            done = lost or out_of_time or (clock is None and self.epoch >= self.config.epochs)
            restored = self.best if done else None
            yield self._result(
                restored or now,
                restored=restored.epoch if restored else None,
                train_loss=train_loss,
                lr=lr,
                seconds=time.perf_counter() - start,
                images_per_second=rate,
                done=done,
            )

    def _model(self, channels: int, *, fresh: bool) -> nn.Module:
        config = self.config if fresh else self.config.with_params({"pretrained": False})
        with self._seeded("weights"):
            model = registry.build(config, classes=len(self.data.classes), channels=channels)
        if self.config.frozen and self.config.pretrained and ":" in self.config.arch:
            registry.freeze(model)
        return model.to(self.device)

    def _seeded(self, *names: str | int) -> "_Seeded":
        return _Seeded(derive(self.config.seed, *names), self.device)

    def _clock(self, seconds: float) -> Clock:
        positions = np.arange(min(len(self.val.rows), 512))
        for _ in range(2):  # the first one builds kernels
            start = time.perf_counter()
            self._probabilities(self.val.rows[positions], None)
        took = (time.perf_counter() - start) * len(self.val.rows) / len(positions)
        if seconds < 2 * took:
            msg = f"a time budget must hold more than a validation, which takes {took:.1f} s, got {seconds:g} s; give more time"
            raise TrainingError(msg)
        return Clock(seconds, self.spent, took)

    def _order(self, clock: Clock | None) -> Iterator[torch.Tensor]:
        """Yield positions of the train rows, batch by batch; a second pass follows where the clock leaves none for an epoch."""
        for turn in count():
            generator = torch.Generator().manual_seed(derive(self.config.seed, "order", self.epoch, turn))
            for positions in torch.randperm(len(self.labels), generator=generator).split(self.batch):
                if len(positions) > 1:  # one row has no batch statistics
                    yield positions
            if clock is None or clock.epoch_fits():
                return

    def _fit(self, clock: Clock | None) -> tuple[float, float, float]:
        """Train one epoch; return mean loss, last learning rate and images a second."""
        seed, epoch = self.config.seed, self.epoch
        generator = torch.Generator(self.device).manual_seed(derive(seed, "augment", epoch))
        mixing = np.random.default_rng(derive(seed, "mixup", epoch))
        total = self.config.epochs * self._steps()
        found, lr, seen = Losses(self), 0.0, 0
        registry.train_mode(self.model)
        start = last = time.perf_counter()
        with self._seeded("dropout", epoch), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for positions in self._order(clock):
                if clock is not None and seen and not clock.step_fits():
                    break
                lr = self.config.lr * schedule.factor(
                    self.config.schedule, (self.step + 0.5) / total if clock is None else clock.progress()
                )
                optim.set_lr(self.optimizer, lr)
                x, targets = self._batch(positions, generator, mixing)
                with self.precision.autocast(self.device):
                    logits = self.model(x)
                loss = self.loss(logits, targets)
                found.add(loss.detach(), lr)
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                if self.ema is not None:
                    self.ema.update(self.step)
                self.step += 1
                seen += len(positions)
                if clock is not None:
                    last, before = time.perf_counter(), last
                    clock.saw_step(last - before)
            mean = found.mean()
        return mean, lr, seen / (time.perf_counter() - start)

    def _steps(self) -> int:
        full, rest = divmod(len(self.labels), self.batch)
        return full + (rest > 1)

    @torch.no_grad()
    def _batch(
        self, positions: torch.Tensor, generator: torch.Generator, mixing: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return augmented, normalised images and target distributions on the device."""
        x = self.preprocessing.scaled(self.rows.take(positions))
        x = self.preprocessing.normalise(augment(x, self.strengths, generator, self.fill))
        labels = self.labels[positions].to(self.device, non_blocking=True)
        targets = F.one_hot(labels, len(self.counts)).float()
        if self.config.mixup:  # Zhang et al. 2018, arXiv 1710.09412; one lambda an image, the partner is the next one
            share = torch.from_numpy(mixing.beta(self.config.mixup, self.config.mixup, len(positions)).astype(np.float32))
            share = share.to(self.device, non_blocking=True)
            x = torch.lerp(x.roll(1, 0), x, share[:, None, None, None])
            targets = torch.lerp(targets.roll(1, 0), targets, share[:, None])
        return x.to(memory_format=self.precision.memory_format), targets

    @property
    def evaluated(self) -> nn.Module:
        """The model whose weights count."""
        return self.model if self.ema is None else self.ema.model

    def _probabilities(self, rows: np.ndarray, key: str | None) -> np.ndarray:
        return probabilities(
            self.evaluated,
            self.data.images,
            self.preprocessing,
            rows=rows,
            device=self.device,
            precision=self.precision,
            key=key,
        )

    def _evaluate(self, clock: Clock | None) -> Evaluated:
        start = time.perf_counter()
        probs = self._probabilities(self.val.rows, f"{self.data.folder} {self.data.fingerprint} val")
        if not np.isfinite(probs).all():
            msg = f"validation probabilities must be finite, epoch {self.epoch} gave others; set a lower lr"
            raise TrainingError(msg)
        if clock is not None:
            clock.saw_validation(time.perf_counter() - start)
        scored = figures(probs.astype(np.float64), self.val.labels)
        return Evaluated(epoch=self.epoch, weights=self.evaluated.state_dict(), figures=scored, probs=probs)

    def _watch(self, now: Evaluated) -> bool:
        """Keep the best epoch where patience is set; tell whether it is lost."""
        if not self.config.patience:
            return False
        name = self.metric.name
        if self.best is None or self.metric.better(now.figures[name], self.best.figures[name]):
            weights = {n: w.clone() for n, w in now.weights.items()}
            self.best = Evaluated(epoch=now.epoch, weights=weights, figures=now.figures, probs=now.probs)
            self.waited = 0
        else:
            self.waited += 1
        return self.waited >= self.config.patience

    def _result(self, shown: Evaluated, *, done: bool, **fields: Any) -> EpochResult:  # noqa: ANN401 - EpochResult's own
        parameters = sum(w.numel() for w in self.model.parameters())
        details = {
            "parameters": parameters,
            "precision": str(self.precision),
            "precision_why": self.precision.why,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "batch_size": self.batch,
        }
        epoch, step = self.epoch, self.step
        card = {
            "config": self.config.params(),
            "classes": list(self.data.classes),
            "preprocessing": self.preprocessing.to_json(),
            "epoch": shown.epoch,
            "figures": shown.figures,
            "parameters": parameters,
            "precision": self.precision.to_json(),
            "provenance": checkpoint.provenance(self.data.fingerprint, self.provenance),
        }

        def save(folder: Path) -> None:
            if self.step != step:
                msg = f"epoch {epoch} must be saved before the next one is asked for; the weights have moved on"
                raise RuntimeError(msg)
            checkpoint.write(folder, shown.weights, card, shown.probs, None if done else self._state())

        return EpochResult(epoch=epoch, figures=shown.figures, done=done, details=details, save=save, **fields)

    def _state(self) -> checkpoint.State:
        tensors = {f"model/{n}": w for n, w in self.model.state_dict().items()}
        tensors |= {f"optimizer/{n}": w for n, w in optim.dump(self.optimizer).items()}
        if self.ema is not None:
            tensors |= {f"ema/{n}": w for n, w in self.ema.model.state_dict().items()}
        best = None
        if self.best is not None:
            tensors |= {f"best/{n}": w for n, w in self.best.weights.items()}
            tensors["probs"] = torch.from_numpy(self.best.probs)
            best = {"epoch": self.best.epoch, "figures": self.best.figures}
        scalars = {
            "step": self.step,
            "spent": self.spent,
            "waited": self.waited,
            "best": best,
            "precision": self.precision.to_json(),
        }
        return checkpoint.State(
            config=self.config.params(), fingerprint=self.data.fingerprint, epoch=self.epoch, scalars=scalars, tensors=tensors
        )

    def _restore(self, state: checkpoint.State, folder: Path) -> None:
        groups: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "ema": {}, "best": {}}
        try:
            for name, tensor in state.tensors.items():
                if name != "probs":
                    group, _, rest = name.partition("/")
                    groups[group][rest] = tensor
            self.model.load_state_dict(groups["model"])
            optim.load(self.optimizer, groups["optimizer"])
            if self.ema is not None:
                self.ema.model.load_state_dict(groups["ema"])
            self.epoch, scalars = state.epoch, state.scalars
            self.step, self.spent, self.waited = scalars["step"], scalars["spent"], scalars["waited"]
            if scalars["best"] is not None:
                self.best = Evaluated(weights=groups["best"], probs=state.tensors["probs"].numpy(), **scalars["best"])
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            msg = f"checkpoint {folder} does not fit its own settings ({reason}); train again"
            raise CheckpointError(msg) from error


class Losses:
    """The losses of an epoch's steps: finite, or the training ends."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._every = 1 if run.device == "cpu" else CHECK_EVERY
        self._waiting: list[tuple[torch.Tensor, float]] = []
        self._sum = 0.0
        self._steps = 0
        self._last = "none"

    def add(self, loss: torch.Tensor, lr: float) -> None:
        """Take in a step's loss; raises TrainingError if one of the last is not finite."""
        self._waiting.append((loss, lr))
        if len(self._waiting) >= self._every:
            self._look()

    def mean(self) -> float:
        """Return the mean so far."""
        self._look()
        return self._sum / max(self._steps, 1)

    def _look(self) -> None:
        values = torch.stack([loss for loss, _ in self._waiting]).tolist() if self._waiting else []
        for value, (_, lr) in zip(values, self._waiting, strict=True):
            self._steps += 1
            if not np.isfinite(value):
                msg = (
                    f"a loss must be finite, got {value} in epoch {self._run.epoch}, step {self._steps} of it, at lr {lr:.3g} "
                    f"(last finite loss: {self._last}); set a lower lr or precision = fp32"
                )
                raise TrainingError(msg)
            self._sum += value
            self._last = f"{value:.4g}"
        self._waiting.clear()


class _Seeded:
    """torch's global generators, which dropout and fresh weights use, seeded for a block and as they were after it."""

    def __init__(self, seed: int, device: str) -> None:
        on_gpu = torch.device(device).type == "cuda"
        self._seed = seed
        self._fork = torch.random.fork_rng(devices=[torch.device(device).index or 0] if on_gpu else [])

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *error: object) -> None:
        self._fork.__exit__(*error)


def _counts(data: Prepared, labels: np.ndarray, val_labels: np.ndarray) -> torch.Tensor:
    """Return train rows a class; refuse what cannot be trained on."""
    counts = np.bincount(labels, minlength=len(data.classes))
    absent = [name for name, n in zip(data.classes, counts, strict=True) if n == 0]
    if absent:
        msg = f"every class needs a training image, {', '.join(absent)} has none; add images or drop the class"
        raise DataError(msg)
    if len(labels) < 2 or len(val_labels) < 1:
        msg = f"a training needs at least 2 training images and 1 validation image, got {len(labels)} and {len(val_labels)}; add images"
        raise DataError(msg)
    return torch.from_numpy(counts)


def _state(folder: Path, config: TrialConfig, data: Prepared) -> checkpoint.State:
    """Read what to resume from; refuse another training's."""
    state = checkpoint.read_state(folder)
    wanted = config.params()
    other = sorted(k for k in {*wanted, *state.config} if wanted.get(k) != state.config.get(k))
    if other:
        said = ", ".join(f"{k} {state.config.get(k)!r} there, {wanted.get(k)!r} here" for k in other[:3])
        msg = f"checkpoint {folder} must be of the same settings to go on from, it differs in {said}; start anew"
        raise CheckpointError(msg)
    if state.fingerprint != data.fingerprint:
        msg = f"checkpoint {folder} must be of the same data to go on from, it was made with other images; start anew"
        raise CheckpointError(msg)
    return state
