import torch

from ferhpo.space.config import TrialConfig
from ferhpo.training import cost, heap

CONFIG = TrialConfig(arch="resnet9s", width=4, image_size=16)


def test_an_untrained_net_has_the_weights_that_are_counted_and_leaves_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    model = cost.untrained(CONFIG, classes=3, channels=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert cost.parameters(model) == sum(w.numel() for w in model.parameters()) > 0


def test_convolutions_and_the_classifier_are_counted_two_operations_a_multiplication() -> None:
    model = cost.untrained(TrialConfig(arch="shallow_cnn", width=4, image_size=8), classes=3, channels=1)
    convolutions = 64 * 9 * (1 * 4 + 4 * 8)
    assert cost.flops(model, channels=1, size=8) == 2 * (convolutions + 64 * 8 * 3)


def test_a_latency_is_of_one_thread_and_gives_the_others_back() -> None:
    before = torch.get_num_threads()
    model = cost.untrained(CONFIG, classes=3, channels=1)
    assert 0 < cost.latency_ms(model, channels=1, size=16) < 1000
    assert torch.get_num_threads() == before


def test_a_peak_of_memory_can_be_forgotten() -> None:
    heap.keep()  # as every training does: what it frees is no one's any more
    cost.forget_peak("cpu")
    before = cost.peak_mib("cpu")
    block = torch.ones(30_000_000)
    assert cost.peak_mib("cpu") > before + 80
    del block
    cost.forget_peak("cpu")
    assert cost.peak_mib("cpu") < before + 80
