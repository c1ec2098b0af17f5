import pytest
import torch

from ferhpo.models.registry import build
from ferhpo.models.resnet import Basic
from ferhpo.space.config import TrialConfig


def test_64_pixels_in_colour_leave_a_map_of_2_and_the_papers_parameters() -> None:
    model = build(TrialConfig(arch="resnet18", width=64, image_size=64), classes=7, channels=3).eval()
    stem = 3 * 64 * 49 + 2 * 64
    equal = sum(4 * (w * w * 9 + 2 * w) for w in (64, 128, 256, 512))  # as if every block kept its width
    wider = sum(w // 2 * w * 9 - w * w * 9 + (w // 2 * w + 2 * w) for w in (128, 256, 512))  # first one, its shortcut
    want = stem + equal + wider + 512 * 7 + 7
    assert sum(w.numel() for w in model.parameters()) == want == 11_180_103
    with torch.inference_mode():
        assert model.get_submodule("features")(torch.rand(2, 3, 64, 64)).shape == (2, 512, 2, 2)


def test_a_block_that_keeps_its_shape_adds_its_input() -> None:
    block = Basic(4, 4, "relu", stride=1).eval()
    torch.nn.init.zeros_(block.second[1].weight)  # pyright: ignore[reportArgumentType]
    x = torch.rand(2, 4, 6, 6)
    assert torch.equal(block(x), x)
    assert Basic(4, 8, "relu", stride=2)(x).shape == (2, 8, 3, 3)


@pytest.mark.slow  # imports torchvision
def test_it_computes_what_torchvisions_does() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(num_classes=7).eval()
    config = TrialConfig(arch="resnet18", width=64, image_size=64, activation="relu")
    ours = build(config, classes=7, channels=3).eval()
    values = theirs.state_dict().values()
    assert len(values) == len(ours.state_dict())
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    x = torch.rand(2, 3, 64, 64)
    assert torch.allclose(ours(x), theirs(x), atol=1e-4)
