"""One update of the weights from one batch: forward, loss, backward, optimiser, moving average."""

from collections.abc import Callable
from math import ceil

import torch
from torch import nn

from ferhpo.data.cache import Prepared
from ferhpo.models import registry, weights
from ferhpo.space.config import TrialConfig
from ferhpo.training import losses, optim, precision
from ferhpo.training.adversarial import Attack, still
from ferhpo.training.ema import Ema
from ferhpo.training.losses import Loss
from ferhpo.training.precision import Precision

SCALER = ("scale", "_growth_tracker")  # what of a GradScaler's state changes


class Step:
    """A model with everything that moves its weights.

    Args:
        model: on its device, in its final memory format.
        config: optimizer, clip and ema are read.
        loss: from logits and targets.
        precision: of forward and backward; with fp16 the loss is scaled (Micikevicius et al. 2017, Mixed Precision
            Training, arXiv 1710.03740), and an update whose gradients overflow is left out.
        device: the model's.
        attack: what a share of a batch's images goes through first, None without.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrialConfig,
        loss: Loss,
        precision: Precision,
        device: str,
        attack: Attack | None = None,
    ) -> None:
        self.forward: Callable[[torch.Tensor], torch.Tensor] = model  # or the same, compiled
        self.model, self.precision, self._loss, self._device = model, precision, loss, device
        self._clip, self._attack, self._attacked_share = config.clip, attack, config.adversarial_share
        self._optimizer = optim.build(model, config, precision.dtype)
        self._scaler = self._new_scaler()
        self._ema = Ema(model, config.ema) if config.ema else None

    @property
    def device_type(self) -> str:
        """Kind of the device: cpu or cuda."""
        return torch.device(self._device).type

    @property
    def evaluated(self) -> nn.Module:
        """The model whose weights count: the moving average where there is one."""
        return self.model if self._ema is None else self._ema.model

    @torch.backends.cudnn.flags(enabled=True, benchmark=True)
    def __call__(self, x: torch.Tensor, targets: torch.Tensor, *, lr: float, t: int, parts: int = 1) -> torch.Tensor:
        """Update the weights; return the loss that the update is from.

        Args:
            x: images B x C x S x S.
            targets: distributions B x classes.
            lr: learning rate.
            t: updates before this one.
            parts: one after the other, so that less memory is needed. The gradient is that of the whole batch but for
                batch norm, which sees a part's statistics.
        """
        optim.set_lr(self._optimizer, lr)
        parts = parts if len(x) >= 2 * parts else 1  # a part of one image has no batch statistics
        found = []
        for images, wanted in zip(x.chunk(parts), targets.chunk(parts), strict=True):
            seen = images if self._attack is None else self._attacked(self._attack, images, wanted)
            with self.precision.training(self._device):
                logits = self.forward(seen)
            loss = self._loss(logits, wanted)
            if parts > 1:
                loss = loss * (len(images) / len(x))
            self._scaler.scale(loss).backward()
            found.append(loss.detach())
        if self._clip:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        if self._ema is not None:
            self._ema.update(t)
        return sum(found[1:], start=found[0])

    def _attacked(self, attack: Attack, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return a batch whose first images, which are drawn at random, are attacked as the net now stands."""
        count = ceil(self._attacked_share * len(images))

        def loss(x: torch.Tensor) -> torch.Tensor:
            with self.precision.autocast(self._device):
                logits = self.model(x)
            return self._scaler.scale(self._loss(logits, targets[:count]))

        still(self.model)
        mixed = images.clone()  # in the same memory format
        mixed[:count] = attack(images[:count], loss)
        registry.train_mode(self.model)
        return mixed

    def _new_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.device_type, enabled=self.precision.format == "fp16")

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return what `load` puts back, by name; the live tensors, not copies."""
        found = {f"model/{n}": w for n, w in self.model.state_dict().items()}
        found |= {f"optimizer/{n}": w for n, w in optim.dump(self._optimizer).items()}
        if self._ema is not None:
            found |= {f"ema/{n}": w for n, w in self._ema.model.state_dict().items()}
        scaler = self._scaler.state_dict()  # numbers; empty unless fp16
        return found | {f"scaler/{n}": torch.tensor(scaler[n], dtype=torch.float64) for n in SCALER if scaler}

    def load(self, tensors: dict[str, torch.Tensor]) -> None:
        """Put back what `tensors` returned, in place of what is there.

        Raises:
            KeyError, IndexError, ValueError, RuntimeError: the tensors are of another model.
        """
        groups: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "ema": {}, "scaler": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups[group][rest] = tensor
        weights.load(self.model, groups["model"])
        self._optimizer.zero_grad(set_to_none=True)
        optim.load(self._optimizer, groups["optimizer"])
        if self._ema is not None:
            weights.load(self._ema.model, groups["ema"])
        self._scaler = self._new_scaler()  # the old one may hold how far an update came that broke off
        for name in ("grad_scale", "found_inf"):  # as may a fused optimiser, to which they are lent for an update
            vars(self._optimizer).pop(name, None)
        if self._scaler.is_enabled() and groups["scaler"]:  # none where the epochs before were not in fp16
            scale, tracker = (groups["scaler"][n].item() for n in SCALER)
            self._scaler.load_state_dict(self._scaler.state_dict() | {"scale": scale, "_growth_tracker": int(tracker)})


def for_timing(config: TrialConfig, data: Prepared, device: str) -> Step:
    """Return the step of a config's net with random weights, as a training here computes it but for attacks.

    Args:
        config: of any architecture; there is no teacher, whatever it says.
        data: for its classes and channels, and the folder beside which measured precisions are kept.
        device: cpu or cuda[:n].
    """
    channels = data.images.shape[-1]
    model = registry.build(config.with_params({"pretrained": False}), classes=len(data.classes), channels=channels)
    if registry.is_frozen(config):
        registry.freeze(model)
    chosen = precision.choose(config, model.to(device), channels, device, data.folder.parent / precision.FILE)
    registry.train_mode(model.to(memory_format=chosen.memory_format))
    loss = losses.build(config.with_params({"distill": 0.0}), torch.ones(len(data.classes), device=device))
    return Step(model, config, loss, chosen, device)
