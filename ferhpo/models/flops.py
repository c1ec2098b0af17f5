"""What a net computes for one image."""

from ferhpo.models import registry
from ferhpo.space.config import TrialConfig


def flops(config: TrialConfig, *, classes: int, channels: int) -> int:
    """Return the operations of one image's forward pass, a multiplication and an addition counted as two.

    Convolutions and matrix products are counted, as torch counts them; norms and activations are not.

    Args:
        config: architecture and image size; weights do not matter.
        classes: of the answer.
        channels: 1 (grey) or 3 (RGB).

    Raises:
        ModelError: the net cannot be built.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = registry.build(config.with_params({"pretrained": False}), classes=classes, channels=channels).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, channels, config.image_size, config.image_size))
    return counter.get_total_flops()
