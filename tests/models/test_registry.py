import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ferhpo.errors import ModelError, UsageError
from ferhpo.models.names import OWN
from ferhpo.models.registry import architectures, build, check, freeze, train_mode
from ferhpo.space.config import NECKS, TrialConfig


def config(arch: str, **more: object) -> TrialConfig:
    return TrialConfig.from_params({"arch": arch, "width": 4, "image_size": 8, "dropout": 0.0, **more})


@pytest.fixture(params=OWN)
def arch(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 11, 17])
def test_every_net_takes_grey_and_colour_of_odd_sizes(arch: str, channels: int, size: int) -> None:
    model = build(config(arch, image_size=size), classes=5, channels=channels)
    assert model(torch.rand(2, channels, size, size)).shape == (2, 5)


def test_every_net_overfits_sixteen_images(arch: str) -> None:
    torch.manual_seed(0)
    x, y = torch.rand(16, 1, 12, 12), torch.arange(16) % 4
    model = build(config(arch, width=8, image_size=12), classes=4, channels=1).train()
    lr, steps = (0.001, 80) if arch == "ensemble_cnn" else (0.01, 25)  # two wide dense layers and no norm
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert bool((model(x).argmax(1) == y).all())


def test_every_net_has_the_parameters_it_is_listed_with(arch: str) -> None:
    model = build(TrialConfig(arch=arch), classes=7, channels=1)
    assert sum(w.numel() for w in model.parameters()) == OWN[arch].parameters


def test_the_same_seed_builds_the_same_weights(arch: str) -> None:
    nets = []
    for _ in range(2):
        torch.manual_seed(3)
        nets.append(build(config(arch), classes=3, channels=1).state_dict())
    assert all(torch.equal(nets[0][n], nets[1][n]) for n in nets[0])


@pytest.mark.parametrize("neck", NECKS)
def test_weights_written_and_read_give_the_same_logits(arch: str, neck: str, tmp_path: Path) -> None:
    given = config(arch, neck=neck, head=6)
    model = build(given, classes=3, channels=1).train()
    model(torch.rand(4, 1, 8, 8))  # moves the norms' statistics
    save_file({n: w.contiguous() for n, w in model.state_dict().items()}, tmp_path / "w.safetensors")
    again = build(given, classes=3, channels=1)
    again.load_state_dict(load_file(tmp_path / "w.safetensors"))
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(again.eval()(x), model.eval()(x))


def test_dropout_stands_before_the_classifier(arch: str) -> None:
    model = build(config(arch, dropout=0.4), classes=3, channels=1)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.4]


def test_a_frozen_net_trains_its_classifier_and_keeps_its_norms(arch: str) -> None:
    model = build(config(arch), classes=3, channels=1)
    freeze(model)
    assert [n for n, w in model.named_parameters() if w.requires_grad] == ["classifier.weight", "classifier.bias"]
    train_mode(model)
    before = {n: b.clone() for n, b in model.named_buffers()}
    model(torch.rand(4, 1, 8, 8))
    assert all(torch.equal(b, before[n]) for n, b in model.named_buffers())
    assert model.get_submodule("classifier").training


def test_a_frozen_net_trains_its_head_and_no_other_layer(arch: str) -> None:
    model = build(config(arch, head=6), classes=3, channels=1)
    freeze(model)
    trained = sum(w.numel() for w in model.parameters() if w.requires_grad)
    linear = [m for m in model.get_submodule("classifier").modules() if isinstance(m, nn.Linear)]
    assert [m.out_features for m in linear] == [6, 3]
    assert trained == sum(w.numel() for m in linear for w in m.parameters())


def test_every_net_has_the_activation_of_its_config(arch: str) -> None:
    model = build(config(arch, activation="silu"), classes=3, channels=1)
    kinds = {type(m) for m in model.get_submodule("features").modules()}
    assert nn.SiLU in kinds
    assert nn.GELU not in kinds


def test_a_net_that_is_not_frozen_trains_everywhere(arch: str) -> None:
    model = build(config(arch), classes=3, channels=1)
    train_mode(model)
    assert all(m.training for m in model.modules())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet9a", "got 'resnet9a'; did you mean 'resnet9'"),
        ("zzz", "known: cbam_cnn, .*, timm:NAME, torchvision:NAME, vgg8"),
        ("tim:resnet18", "library must be a known one, got 'tim' in 'tim:resnet18'; did you mean 'timm'"),
        ("", "must be a known one, got ''"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(name)


def test_other_channels_are_refused() -> None:
    with pytest.raises(ModelError, match="1 or 3 channels, got 4"):
        build(config("resnet9s"), classes=3, channels=4)


def test_a_size_that_a_net_cannot_take_is_refused_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from ferhpo.models import vgg

    monkeypatch.setattr(vgg, "vgg8", lambda *_: nn.Sequential(*[nn.MaxPool2d(2) for _ in range(4)]))
    with pytest.raises(ModelError, match=r"vgg8 cannot take images of 8 px .* set another image_size"):
        build(config("vgg8"), classes=3, channels=1)


def test_ours_are_listed_without_a_pattern() -> None:
    assert [a.name for a in architectures()] == list(OWN)
    assert architectures()[0].name == TrialConfig().arch


def test_checking_and_listing_our_names_imports_no_torch() -> None:
    code = (
        "import sys; from ferhpo.models.registry import check, architectures; check('resnet9s'); architectures();"
        "print({'torch', 'timm', 'torchvision'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
