"""The training loop: a generator of one `EpochResult` an epoch; whoever takes them decides to stop.

It knows neither Ray, Optuna nor the study. Every random number comes from a seed derived from the config's seed, what
it is for and the epoch, so that a run resumed after any epoch equals the uninterrupted one, to the bit on a CPU with as
many threads.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from ferhpo import metrics
from ferhpo._seeding import derive
from ferhpo.data.cache import Prepared
from ferhpo.errors import FerhpoError, TrainingError, first_line
from ferhpo.metrics import Metric
from ferhpo.models import registry, weights
from ferhpo.space.config import TrialConfig
from ferhpo.training import adversarial, checkpoint, compiling, cost, distill, heap, losses, precision, schedule, state
from ferhpo.training.clock import Budget, Clock, Epochs
from ferhpo.training.feed import Feed
from ferhpo.training.guard import Losses, device_is_lost, give_back, out_of_memory, seeded, threads
from ferhpo.training.images import Preprocessing
from ferhpo.training.result import EpochResult
from ferhpo.training.state import Origin, Progress
from ferhpo.training.step import Step
from ferhpo.training.validation import Evaluated, Validation


def train(
    config: TrialConfig,
    data: Prepared,
    *,
    metric: Metric,
    device: str = "cpu",
    seconds: float | None = None,
    resume: Path | None = None,
    provenance: Mapping[str, Any] = MappingProxyType({}),
    teacher: np.ndarray | None = None,
) -> Iterator[EpochResult]:
    """Train one configuration and yield a result an epoch.

    From its beginning on the process keeps the memory that it frees, see `heap.py`; at its end that goes back.

    Args:
        config: everything that decides the result.
        data: its train rows train, its val rows validate.
        metric: the study's, which patience watches unless the config names another.
        device: cpu or cuda[:n].
        seconds: wall time from the first step to the end of the last validation, in place of the config's epochs.
        resume: an epoch's folder with its state; the run goes on after that epoch, on a CPU with no more threads than
            before unless it has ``seconds``.
        provenance: goes into the checkpoints' cards.
        teacher: soft labels, float32 train rows x classes in the order of ``data.part("train")``; where the config
            distils. A resumed run needs the same.

    Raises:
        DataError: a class has no training row, there are too few rows, or the teacher does not fit them.
        UsageError: the config distils and there is no teacher.
        ModelError: the net or its weights cannot be had.
        CheckpointError: ``resume`` is damaged or of another training.
        TrainingError: the loss is not finite, the time or the memory does not suffice.
    """
    heap.keep()
    try:
        yield from _Run(config, data, metric, device, resume, provenance, teacher).epochs(seconds)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        said = f"a batch of {config.batch_size} did not, nor half of it at a time ({first_line(error)})"
        msg = f"a training must fit into the memory of {device}, {said}; set a smaller batch_size"
        raise TrainingError(msg) from error
    finally:
        heap.give_back()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trained:
    """What an epoch's steps came to: mean loss, learning rate of the last one, images a second, the last in words."""

    loss: float
    lr: float
    rate: float
    last: str


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
        teacher: np.ndarray | None,
    ) -> None:
        self.config, self.data, self.device, self.provenance = config, data, device, provenance
        self.watched = metric if config.patience_metric == "study" else metrics.metric(config.patience_metric)
        channels = data.images.shape[-1]
        self.preprocessing = Preprocessing.of(config, data)
        soft = distill.soft_labels(config, teacher, len(data.part("train").labels), len(data.classes))
        self.origin = Origin(config=config, data=data.fingerprint, teacher=distill.fingerprint(soft))
        found = None if resume is None else state.read(resume, self.origin)
        model = self._model(channels, fresh=found is None)
        chosen = None if found is None else state.precision_before(found, device)
        if chosen is None or not precision.goes_on(chosen, config, model, device):
            chosen = precision.choose(config, model, channels, device, data.folder.parent / precision.FILE)
        self.precision = chosen
        model.to(memory_format=self.precision.memory_format)
        self.feed = Feed(config, data, self.preprocessing, device, self.precision.memory_format, soft)
        self.validation = Validation(data, self.preprocessing, device, self.precision)
        self.compiled: compiling.Compiled | None = None
        loss = losses.build(config, self.feed.counts_c.to(device))
        attack = adversarial.of_training(config, self.preprocessing)
        self.update = Step(model, config, loss, self.precision, device, attack)
        self.at = Progress() if found is None or resume is None else state.unpack_read(found, self.update, resume)

    def epochs(self, seconds: float | None) -> Iterator[EpochResult]:
        """Yield until the budget is finished or patience is lost."""
        self._settle_threads(kept=seconds is None and torch.device(self.device).type == "cpu")
        budget = self._budget(seconds)
        if torch.device(self.device).type == "cuda":  # what was tried out is not what the training needs
            cost.forget_peak(self.device)
        self._compile(budget)  # after it, since the training uses the memory of the graphs that are recorded here
        budget.begin()
        self.at.idle = budget.idle
        done = budget.over
        while not done:
            with threads(self.at.threads[-1]):
                result = self._epoch(budget)
            done = result.done
            yield result

    def _settle_threads(self, *, kept: bool) -> None:
        """Take the CPU threads that there are; to be the uninterrupted run to the bit, no more than there were."""
        before, there = self.at.threads, torch.get_num_threads()
        if kept and before:
            there = min(there, before[-1])
        if before[-1:] != [there]:
            self.at.threads = [*before, there]

    def _epoch(self, budget: Budget) -> EpochResult:
        """Train and validate once."""
        start = time.perf_counter()
        self.at.epoch += 1
        fitted = self._fit_in_memory(budget)
        begun = time.perf_counter()
        now = self.validation.evaluate(self.update.evaluated, self.at.epoch, fitted.last)
        budget.saw_validation(time.perf_counter() - begun)
        self.at.spent = budget.spent()
        lost = self.at.watch(now, self.watched, self.config)
        done = lost or not budget.step_fits()
        restored = self.at.best if done else None
        return self._result(
            self._attacked(restored or now) if done else now,
            restored=restored.epoch if restored else None,
            train_loss=fitted.loss,
            lr=fitted.lr,
            seconds=time.perf_counter() - start,
            images_per_second=fitted.rate,
            done=done,
        )

    def _attacked(self, shown: Evaluated) -> Evaluated:
        """Return the last result with its robust accuracy, where the training was on attacked images."""
        if self.config.adversarial == "none":
            return shown
        model = self.update.evaluated
        weights.load(model, shown.weights)  # the restored ones; nothing trains any more
        with self._seeded("robust"):
            return self.validation.attacked(model, shown, adversarial.of_testing(self.config, self.preprocessing))

    def _model(self, channels: int, *, fresh: bool) -> nn.Module:
        config = self.config if fresh else self.config.with_params({"pretrained": False})
        with self._seeded("weights"):
            model = registry.build(config, classes=len(self.data.classes), channels=channels)
            for size in schedule.sizes(config)[:-1]:  # the last one, `build` has tried
                registry.try_size(model, config.arch, size, classes=len(self.data.classes), channels=channels)
        if registry.is_frozen(self.config):
            registry.freeze(model)
        return model.to(self.device)

    def _seeded(self, *names: str | int) -> AbstractContextManager[None]:
        return seeded(derive(self.config.seed, *names), self.device)

    def _budget(self, seconds: float | None) -> Budget:
        if seconds is None:
            return Epochs(self.config.epochs * self.feed.steps, lambda: self.at.step, self.at.spent)
        took = self.validation.seconds(self.update.evaluated)
        attacked = 0.0 if self.config.adversarial == "none" else self.validation.attacked_seconds(took)
        needed = 2 * took + attacked
        if seconds < needed:
            rule = f"a time budget must hold more than a validation, here {needed:.1f} s or more"
            msg = f"{rule}, got {seconds:g} s; give more time"
            raise TrainingError(msg)
        return Clock(seconds - attacked, self.at.spent, took, self.at.idle)

    def _compile(self, budget: Budget) -> None:
        """Let steps run compiled where that pays; images that grow would be compiled at every size."""
        config = self.config
        if config.grow == 1 and self.at.parts == 1:
            shape = (self.feed.batch, self.preprocessing.channels, config.image_size, config.image_size)
            passes = compiling.Passes(
                model=self.update.model, precision=self.precision, shape=shape, device=self.device
            )
            self.compiled = compiling.choose(passes, compiling.kind(config, len(self.data.classes)), budget.left)
        if self.compiled is None:
            compiling.let_go(self.device)
        self.update.forward = self.compiled or self.update.model

    def _fit_in_memory(self, budget: Budget) -> _Trained:
        """Train one epoch; where memory does not suffice, once more from its start in half batches.

        Where the compiled net fails in another way, once more with the net as it is.
        """
        before = state.copied(self._state()) if self.at.parts == 1 else None
        try:
            return self._fit(budget)
        except Exception as error:
            full = out_of_memory(error)
            of_compiled = self.compiled is not None and not isinstance(error, FerhpoError) and not device_is_lost(error)
            if before is None or not (full or of_compiled):
                raise
        if self.compiled is not None:
            self.compiled, self.update.forward = None, self.update.model
            if full:  # it serves whole batches, of which there are no more
                compiling.forget(self.device)
            else:
                compiling.give_up(self.device)
        give_back(self.device)
        self.at = state.unpack(before, self.update)
        self.at.parts = 2 if full else 1
        return self._fit_in_memory(budget)

    def _fit(self, budget: Budget) -> _Trained:
        """Train one epoch."""
        config, at = self.config, self.at
        found = Losses(at.epoch, self.device, at.last_loss)
        lr, seen = 0.0, 0
        registry.train_mode(self.update.model)
        start = last = time.perf_counter()
        with self._seeded("dropout", at.epoch):
            batches = self.feed.batches(
                at.epoch,
                again=lambda: not budget.epoch_fits(),
                size=lambda: schedule.size(config, budget.progress()),
            )
            for x, targets in batches:
                if seen and not budget.step_fits():
                    break
                passes, drops = at.step / self.feed.steps, at.plateau.drops
                lr = config.lr * schedule.factor(config, budget.progress(), passes=passes, drops=drops)
                wait = budget.near_end()
                found.add(self.update(x, targets, lr=lr, t=at.step, parts=at.parts), lr, wait=wait)
                at.step += 1
                seen += len(x)
                before, last = last, time.perf_counter()
                budget.saw_step(last - before)
            mean = found.mean()  # waits for a GPU
        at.last_loss = found.last
        return _Trained(loss=mean, lr=lr, rate=seen / (time.perf_counter() - start), last=found.where)

    def _result(self, shown: Evaluated, *, done: bool, **fields: Any) -> EpochResult:
        parameters = cost.parameters(self.update.model)
        details = {
            "parameters": parameters,
            "precision": str(self.precision),
            "precision_why": self.precision.why,
            "device": self.device,
            "threads": torch.get_num_threads(),
            "threads_before": self.at.threads[:-1],
            "torch": torch.__version__,
            "batch_size": self.feed.batch,
            "accumulate": self.at.parts,
            "compiled": None if self.compiled is None else str(self.compiled),
        }
        epoch, step = self.at.epoch, self.at.step
        card = {
            "config": self.config.params(),
            "classes": list(self.data.classes),
            "preprocessing": self.preprocessing.to_json(),
            "epoch": shown.epoch,
            "figures": shown.figures,
            "parameters": parameters,
            "precision": self.precision.to_json(),
            "accumulate": self.at.parts,
            "provenance": checkpoint.provenance(self.data.fingerprint, self.provenance),
        }

        def save(folder: Path, *, resumable: bool = True) -> None:
            if self.at.step != step:
                msg = f"epoch {epoch} must be saved before the next one is asked for; the weights have moved on"
                raise RuntimeError(msg)
            rest = self._state() if resumable and not done else None
            checkpoint.write(folder, shown.weights, card, shown.probs, rest)

        return EpochResult(epoch=epoch, figures=shown.figures, done=done, details=details, save=save, **fields)

    def _state(self) -> checkpoint.State:
        return state.pack(self.origin, self.precision, self.update, self.at)
