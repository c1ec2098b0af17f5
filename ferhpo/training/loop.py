"""The training loop: a generator of one `EpochResult` an epoch; whoever takes them decides to stop.

It knows neither Ray, Optuna nor the study. Every random number comes from a seed derived from the config's seed, what
it is for and the epoch, so that a run resumed after any epoch equals the uninterrupted one, to the bit on a CPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared
from ferhpo.errors import CheckpointError, DataError, TrainingError
from ferhpo.metrics import Metric, figures
from ferhpo.models import registry
from ferhpo.space.config import TrialConfig
from ferhpo.training import checkpoint, losses, optim, precision, schedule
from ferhpo.training.clock import Clock
from ferhpo.training.ema import Ema
from ferhpo.training.feed import Feed
from ferhpo.training.guard import Losses, seeded
from ferhpo.training.images import Preprocessing
from ferhpo.training.predict import probabilities

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
        save: writes this epoch's files (`_layout`) into an empty folder; call it before asking for the next epoch.
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
        msg = f"a step must fit into the memory of {device}, {run.feed.batch} images did not; set a smaller batch_size"
        raise TrainingError(msg) from error


class _Run:
    """A training under way."""

    def __init__(
        self,
        config: TrialConfig,
        data: Prepared,
        metric: Metric,
        device: str,
        resume: Path | None,
        provenance: Mapping[str, Any],
    ) -> None:
        self.config, self.data, self.metric, self.device, self.provenance = config, data, metric, device, provenance
        self.val = data.part("val")
        if not len(self.val.rows):
            msg = "a training needs at least 1 validation image, got none; add images or raise the data's val share"
            raise DataError(msg)
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
        self.last_loss: float | None = None
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
        self.feed = Feed(config, data, self.preprocessing, device, self.precision.memory_format)
        self.loss = losses.build(config, self.feed.counts_c.to(device))
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
            out_of_time = clock is not None and not clock.step_fits()
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

    def _seeded(self, *names: str | int) -> AbstractContextManager[None]:
        return seeded(derive(self.config.seed, *names), self.device)

    def _clock(self, seconds: float) -> Clock:
        rows = self.val.rows[:512]
        self._probabilities(rows, None)  # builds kernels
        start = time.perf_counter()
        self._probabilities(rows, None)
        took = (time.perf_counter() - start) * len(self.val.rows) / len(rows)
        if seconds < 2 * took:
            msg = f"a time budget must hold more than a validation of {took:.1f} s, got {seconds:g} s; give more time"
            raise TrainingError(msg)
        return Clock(seconds, self.spent, took)

    def _fit(self, clock: Clock | None) -> tuple[float, float, float]:
        """Train one epoch; return mean loss, last learning rate and images a second."""
        config, feed = self.config, self.feed
        total = config.epochs * feed.steps
        found = Losses(self.epoch, self.device, self.last_loss)
        lr, seen = 0.0, 0
        registry.train_mode(self.model)
        start = last = time.perf_counter()
        with self._seeded("dropout", self.epoch), torch.backends.cudnn.flags(enabled=True, benchmark=True):
            for x, targets in feed.batches(self.epoch, (lambda: not clock.epoch_fits()) if clock else lambda: False):
                if clock is not None and seen and not clock.step_fits():
                    break
                progress = clock.progress() if clock else (self.step + 0.5) / total
                lr = config.lr * schedule.factor(config.schedule, progress)
                optim.set_lr(self.optimizer, lr)
                with self.precision.autocast(self.device):
                    logits = self.model(x)
                loss = self.loss(logits, targets)
                found.add(loss, lr)
                loss.backward()
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                if self.ema is not None:
                    self.ema.update(self.step)
                self.step += 1
                seen += len(x)
                if clock is not None:
                    before, last = last, time.perf_counter()
                    clock.saw_step(last - before)
            mean = found.mean()  # waits for a GPU
        self.last_loss = found.last
        return mean, lr, seen / (time.perf_counter() - start)

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

    def _result(self, shown: Evaluated, *, done: bool, **fields: Any) -> EpochResult:
        parameters = sum(w.numel() for w in self.model.parameters())
        details = {
            "parameters": parameters,
            "precision": str(self.precision),
            "precision_why": self.precision.why,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "batch_size": self.feed.batch,
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
            "last_loss": self.last_loss,
            "waited": self.waited,
            "best": best,
            "precision": self.precision.to_json(),
        }
        return checkpoint.State(
            config=self.config.params(),
            fingerprint=self.data.fingerprint,
            epoch=self.epoch,
            scalars=scalars,
            tensors=tensors,
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
            self.last_loss = scalars["last_loss"]
            if scalars["best"] is not None:
                self.best = Evaluated(weights=groups["best"], probs=state.tensors["probs"].numpy(), **scalars["best"])
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            msg = f"checkpoint {folder} does not fit its own settings ({reason}); train again"
            raise CheckpointError(msg) from error


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
