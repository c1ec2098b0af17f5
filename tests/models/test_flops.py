"""What a net computes is counted as by hand, and pretrained weights are not asked for."""

from ferhpo.models.flops import flops
from ferhpo.space.config import TrialConfig


def test_convolutions_and_the_classifier_are_counted_two_operations_a_multiplication() -> None:
    config = TrialConfig(arch="shallow_cnn", width=4, image_size=8, pretrained=True)
    convolutions = 64 * 9 * (1 * 4 + 4 * 8)
    assert flops(config, classes=3, channels=1) == 2 * (convolutions + 64 * 8 * 3)
