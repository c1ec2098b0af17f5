"""What needs neither library is tested at once; what imports timm (9 s) or torchvision (5 s) is marked slow."""

import copy
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ferhpo.errors import ModelError, UsageError
from ferhpo.models import external
from ferhpo.models.blocks import Head
from ferhpo.models.external import adapt_stem, added, heads, load_file
from ferhpo.models.registry import architectures, build, check, freeze
from ferhpo.space.config import TrialConfig


class Small(nn.Module):
    """A net with a stem, a norm and a classifier, like theirs."""

    def __init__(self, channels: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, classes)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    torch.manual_seed(0)
    save_file(Small().state_dict(), path)
    return path


def change(path: Path, **tensors: torch.Tensor | None) -> Path:
    state: dict[str, Any] = {n.replace("_", ".", 1): t for n, t in tensors.items()}
    whole = {**external_state(path), **state}
    save_file({n: t for n, t in whole.items() if t is not None}, path)
    return path


def external_state(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file as read

    return read(path)


def test_a_grey_stem_gives_what_the_colour_stem_gave_for_grey_images() -> None:
    weight, grey = torch.rand(4, 3, 3, 3), torch.rand(2, 1, 6, 6)
    want = nn.functional.conv2d(grey.repeat(1, 3, 1, 1), weight)
    assert torch.allclose(nn.functional.conv2d(grey, adapt_stem(weight, 1)), want, atol=1e-5)
    back = adapt_stem(weight.sum(1, keepdim=True), 3)
    assert torch.allclose(nn.functional.conv2d(grey.repeat(1, 3, 1, 1), back), want, atol=1e-5)


def test_a_file_that_fits_is_loaded_whole(weights: Path) -> None:
    model = Small()
    load_file(model, weights, "timm:small")
    assert all(torch.equal(w, external_state(weights)[n]) for n, w in model.state_dict().items())


def test_a_net_that_asks_for_its_version_is_loaded(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Small, state: object, prefix: str, local_metadata: dict[str, Any], *_: object) -> None:
        assert local_metadata["version"] == 1

    monkeypatch.setattr(Small, "_load_from_state_dict", load)
    load_file(Small(), weights, "torchvision:small")


@pytest.mark.parametrize(
    ("arch", "more"),
    [("googlenet", "aux1.fc2.bias"), ("googlenet", "aux2.fc2.bias"), ("inception_v3", "AuxLogits.fc.bias")],
)
def test_what_torchvision_publishes_for_extra_outputs_is_left_out(weights: Path, arch: str, more: str) -> None:
    save_file({**external_state(weights), more: torch.zeros(1)}, weights)
    load_file(Small(), weights, f"torchvision:{arch}")
    with pytest.raises(ModelError, match=f"unknown: {more}"):
        load_file(Small(), weights, "torchvision:small")


def test_a_densenets_weights_are_loaded_under_the_names_that_torchvision_publishes(tmp_path: Path) -> None:
    def net() -> nn.Module:
        layer = nn.ModuleDict({"norm1": nn.BatchNorm2d(4), "conv1": nn.Conv2d(4, 4, 1), "norm2": nn.BatchNorm2d(4)})
        return nn.ModuleDict({"stem": nn.Conv2d(3, 4, 1), "denselayer1": layer, "classifier": nn.Linear(4, 5)})

    one, other, path = net(), net(), tmp_path / "densenet.safetensors"
    save_file({re.sub(r"(norm|conv)([12])", r"\1.\2", n): w for n, w in one.state_dict().items()}, path)
    assert "denselayer1.norm.2.running_mean" in external_state(path)
    load_file(other, path, "torchvision:densenet121")
    assert all(torch.equal(w, one.state_dict()[n]) for n, w in other.state_dict().items())


def test_a_classifier_of_another_shape_stays_fresh_and_the_stem_is_adapted(weights: Path) -> None:
    model = Small(channels=1, classes=7)
    fresh = {n: w.clone() for n, w in model.fc.state_dict().items()}
    load_file(model, weights, "timm:small")
    state = external_state(weights)
    assert torch.equal(model.conv1.weight, state["conv1.weight"].sum(1, keepdim=True))
    assert all(torch.equal(w, fresh[n]) for n, w in model.fc.state_dict().items())


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"bn1_weight": None}, "missing: bn1.weight"),
        ({"bn1_other": torch.zeros(1)}, "unknown: bn1.other"),
        ({"bn1_bias": torch.zeros(5)}, r"of another shape: bn1.bias \(5,\) for \(4,\)"),
    ],
)
def test_anything_else_that_does_not_fit_is_named(weights: Path, tensors: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=rf"weights must fit timm:small by name and shape, .*{message}"):
        load_file(Small(), change(weights, **tensors), "timm:small")


def test_a_file_that_is_missing_or_no_safetensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must be a safetensors file, .*gone.* cannot be read"):
        load_file(Small(), tmp_path / "gone", "timm:small")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(ModelError, match=r"must be a safetensors file, .*text.* cannot be read"):
        load_file(Small(), tmp_path / "text", "timm:small")


def test_the_classifier_is_what_timm_says_or_the_last_linear_layer_or_convolution() -> None:
    assert heads(Small()) == ("fc",)
    said = Small()
    vars(said)["pretrained_cfg"] = {"classifier": ("conv1", "fc")}
    assert heads(said) == ("conv1", "fc")
    assert heads(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1))) == ("1",)


class Pooled(Small):
    """A net with a global average pool, like theirs."""

    def __init__(self) -> None:
        super().__init__(channels=1)
        self.squeeze, self.pool = nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        return self.fc(self.pool(x * torch.sigmoid(self.squeeze(x))).flatten(1))


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> TrialConfig:
    """Return the config of a library's net that is built without the library."""
    monkeypatch.setattr(external, "_timm", lambda *_: Pooled())
    return TrialConfig(arch="timm:pooled", image_size=8)


def test_a_head_takes_the_place_of_the_classifier(pooled: TrialConfig) -> None:
    model = external.build(pooled.with_params({"head": 6}), classes=5, channels=1)
    assert heads(model) == added(model) == ("fc",)
    assert isinstance(model.get_submodule("fc"), Head)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 5)
    freeze(model)
    assert {n for n, w in model.named_parameters() if w.requires_grad} == {
        n for n, _ in model.named_parameters() if n.startswith("fc.")
    }


def test_a_head_needs_a_linear_classifier(pooled: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "_timm", lambda *_: nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(ModelError, match="timm:pooled has no linear classifier that a head could replace; set head"):
        external.build(pooled.with_params({"head": 6}), classes=5, channels=1)


@pytest.mark.parametrize("neck", ["cbam", "self_attention", "lstm"])
def test_a_neck_stands_before_the_last_pool_and_trains_on_a_frozen_base(pooled: TrialConfig, neck: str) -> None:
    model = external.build(pooled.with_params({"neck": neck}), classes=10, channels=1)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    assert added(model) == ("fc", "pool")
    freeze(model)
    trained = {n.partition(".")[0] for n, w in model.named_parameters() if w.requires_grad}
    assert trained == {"fc", "pool"}


def test_a_tensor_that_a_net_keeps_from_finding_a_necks_place_serves_in_training(
    pooled: TrialConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, kept = Pooled(), []

    def cache(_: nn.Module, args: tuple[torch.Tensor]) -> torch.Tensor:
        kept.extend([torch.ones(1)] if not kept else [])
        return args[0] * kept[0]

    net.conv1.register_forward_pre_hook(cache)
    monkeypatch.setattr(external, "_timm", lambda *_: net)
    model = external.build(pooled.with_params({"neck": "cbam"}), classes=10, channels=1)
    x = torch.rand(2, 1, 8, 8, requires_grad=True)  # which is multiplied, so that what is kept is saved for backward
    model(x).sum().backward()


def test_a_neck_needs_a_pool_layer(pooled: TrialConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external, "_timm", lambda *_: Small())
    with pytest.raises(ModelError, match="before a global average pool layer, timm:pooled has none; set neck = none"):
        external.build(pooled.with_params({"neck": "cbam"}), classes=5, channels=1)


def test_a_neck_at_a_size_that_the_net_cannot_take_is_refused_like_any(pooled: TrialConfig) -> None:
    with pytest.raises(ModelError, match="timm:pooled cannot take 8 px"):
        external.build(pooled.with_params({"neck": "cbam"}), classes=10, channels=3)


def test_pretrained_weights_are_loaded_under_a_neck_and_a_head(pooled: TrialConfig, tmp_path: Path) -> None:
    source = Pooled()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    changes = {"neck": "cbam", "head": 6, "pretrained": True, "weights": str(tmp_path / "w.safetensors")}
    model = external.build(pooled.with_params(changes), classes=10, channels=1)
    assert torch.equal(model.get_submodule("conv1").weight, source.conv1.weight)  # pyright: ignore[reportArgumentType]


def in_torchvision(net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> TrialConfig:
    """Let torchvision have one net, without torchvision; return a config of it."""
    library = SimpleNamespace(models=SimpleNamespace(get_model=lambda *_, **__: net))
    monkeypatch.setitem(sys.modules, "torchvision", library)
    return TrialConfig(arch="torchvision:pooled", image_size=8, dropout=0.5)


def test_a_net_of_torchvision_that_drops_nothing_drops_before_its_classifier_while_it_trains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = copy.deepcopy(external.build(in_torchvision(Pooled(), monkeypatch), classes=10, channels=1))
    assert model.state_dict().keys() == Pooled().state_dict().keys()
    with torch.no_grad():
        weight, bias = (model.get_parameter(f"fc.{name}") for name in ("weight", "bias"))
        weight[:4], weight[4:], bias[:] = torch.eye(4), 0, 0
        x = torch.rand(64, 1, 8, 8)
        whole, seen = model.eval()(x)[:, :4], model.train()(x)[:, :4]
    dropped = seen == 0
    assert 0.3 < dropped.float().mean() < 0.7
    assert torch.allclose(seen[~dropped], 2 * whole[~dropped], atol=1e-6)


def test_a_dropout_that_a_net_of_torchvision_has_is_set_and_none_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    child, inside = Pooled(), Pooled()
    child.dropout = nn.Dropout(0.2)  # as googlenet has it
    inside.fc = nn.Sequential(nn.Dropout(0.2), nn.Linear(4, 10))  # pyright: ignore[reportAttributeAccessIssue]
    for net, head in ((child, 0), (inside, 0), (copy.deepcopy(child), 6)):
        config = in_torchvision(net, monkeypatch).with_params({"head": head})
        model = external.build(config, classes=10, channels=1)
        assert sum(m.p for m in model.modules() if isinstance(m, nn.Dropout)) == 0.5
        assert not any(layer._forward_pre_hooks for layer in model.modules())


LIBRARY = [("timm:mobilenetv3_small_050", 32), ("torchvision:shufflenet_v2_x0_5", 32), ("torchvision:mnasnet0_5", 32)]


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "size"), LIBRARY)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_librarys_net_is_built_loaded_from_a_file_and_frozen(
    arch: str, size: int, channels: int, tmp_path: Path
) -> None:
    config = TrialConfig(arch=arch, image_size=size, dropout=0.3)
    source = build(config, classes=11, channels=3)
    save_file({n: w.contiguous() for n, w in source.state_dict().items()}, tmp_path / "w.safetensors")
    loaded = config.with_params({"pretrained": True, "weights": str(tmp_path / "w.safetensors")})
    model = build(loaded, classes=7, channels=channels)
    assert model(torch.rand(2, channels, size, size)).shape == (2, 7)
    stem = next(n for n, w in source.state_dict().items() if w.ndim == 4)
    assert torch.allclose(model.state_dict()[stem], adapt_stem(source.state_dict()[stem], channels))
    freeze(model)
    trained = [n for n, w in model.named_parameters() if w.requires_grad]
    assert len(trained) == 2
    assert all(n.startswith(heads(model)[0]) for n in trained)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "more"), [("googlenet", 32, "aux"), ("inception_v3", 75, "AuxLogits"), ("densenet121", 32, "")]
)
def test_weights_in_the_form_that_torchvision_publishes_are_loaded(
    name: str, size: int, more: str, tmp_path: Path
) -> None:
    from torchvision import models

    options = {"aux_logits": True, "init_weights": False} if more else {}
    source = models.get_model(name, weights=None, num_classes=11, **options).state_dict()
    assert not more or any(n.startswith(more) for n in source)
    renamed = {re.sub(r"(layer\d+\.(?:norm|conv))([12])", r"\1.\2", n): w for n, w in source.items()}
    save_file(renamed, tmp_path / "w.safetensors")
    assert (renamed.keys() == source.keys()) == (name != "densenet121")
    config = TrialConfig(arch=f"torchvision:{name}", image_size=size)
    model = build(
        config.with_params({"pretrained": True, "weights": str(tmp_path / "w.safetensors")}), classes=11, channels=3
    )
    assert all(torch.equal(w, source[n]) for n, w in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "size"), LIBRARY)
def test_weights_that_cannot_be_had_are_told_with_what_to_do(
    arch: str, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    config = TrialConfig(arch=arch, image_size=size, pretrained=True)
    if arch.startswith("timm"):
        monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", _no_network)
    with pytest.raises(ModelError, match=r'pretrained weights of .* cannot be had.*weights = "file.safetensors"'):
        build(config, classes=7, channels=1)


def _no_network(*_: object, **__: object) -> None:
    msg = "no network in tests"
    raise OSError(msg)


@pytest.mark.slow
def test_a_size_that_a_librarys_net_cannot_take_is_refused() -> None:
    with pytest.raises(ModelError, match="torchvision:alexnet cannot take images of 16 px"):
        build(TrialConfig(arch="torchvision:alexnet", image_size=16), classes=7, channels=3)


@pytest.mark.slow
def test_a_transformer_of_the_library_takes_the_configs_size() -> None:
    for arch in ("timm:vit_tiny_patch16_224", "torchvision:vit_b_32"):
        model = build(TrialConfig(arch=arch, image_size=32), classes=7, channels=1)
        assert model(torch.rand(1, 1, 32, 32)).shape == (1, 7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "parameters"),
    [
        # the base as the library counts it with 1 input channel and no classifier, then the head
        ({"arch": "timm:resnet50", "head": 1024}, 23_508_032 - 2 * 64 * 49 + 2048 * 1024 + 1024 + 1024 * 7 + 7),
        ({"arch": "timm:mobilenetv2_100", "head": 128}, 2_223_872 - 2 * 32 * 9 + 1280 * 128 + 128 + 128 * 7 + 7),
        ({"arch": "torchvision:mobilenet_v2", "head": 128}, 2_223_872 - 2 * 32 * 9 + 1280 * 128 + 128 + 128 * 7 + 7),
    ],
)
def test_a_librarys_base_with_a_head_has_its_parameters(settings: dict[str, Any], parameters: int) -> None:
    config = TrialConfig(**settings, image_size=64, dropout=0.5, feature_dropout=0.4)
    model = build(config, classes=7, channels=1)
    assert sum(w.numel() for w in model.parameters()) == parameters
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout) and m.p] == [0.4, 0.5]
    assert not getattr(model, "drop_rate", 0.0)


WISHES = {
    "ViT": {"arch": "timm:vit_tiny_patch16_224", "patch_size": 8, "lr": 1e-3},
    "ConvNeXt": {"arch": "timm:convnext_atto", "patch_size": 2, "lr": 1e-3},
    "hybrid attention": {"arch": "timm:mobilenetv2_100", "neck": "cbam", "lr": 3e-3},
    "self-attention in a CNN": {"arch": "timm:resnet10t", "neck": "self_attention", "lr": 1e-3},
    "CNN-LSTM": {"arch": "timm:resnet10t", "neck": "lstm", "lr": 1e-3},
}


@pytest.mark.slow
@pytest.mark.parametrize("wish", WISHES)
def test_the_architectures_that_are_wished_for_learn_at_48_pixels(wish: str) -> None:
    torch.manual_seed(0)
    config = TrialConfig.from_params({**WISHES[wish], "image_size": 48, "dropout": 0})
    model = build(config, classes=4, channels=1).train()
    y = torch.arange(8) % 4
    across = torch.sin(torch.arange(48.0)).expand(48, 48)
    stripes = torch.stack((across, across.T, across + across.T, torch.zeros(48, 48)))
    x = stripes[y][:, None] + 0.3 * torch.randn(8, 1, 48, 48)
    optimizer = torch.optim.AdamW(model.parameters(), config.lr)
    for _ in range(60):
        logits = model(x)
        if bool((logits.argmax(1) == y).all()):
            return
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, y).backward()
        optimizer.step()
    pytest.fail("the images were not learned in 60 steps")


@pytest.mark.slow
def test_patches_are_refused_by_a_net_without() -> None:
    with pytest.raises(ModelError, match="timm:resnet18 does not; set patch_size = 0"):
        build(TrialConfig(arch="timm:resnet18", patch_size=2), classes=7, channels=1)


@pytest.mark.slow
def test_unknown_names_of_the_libraries_are_refused_with_the_nearest_and_tags_are_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        check("torchvision:resnet19")
    with pytest.raises(
        UsageError, match="an architecture of timm must be a known one, got 'timm:mobilnetv3_small_100'"
    ):
        check("timm:mobilnetv3_small_100")
    check("timm:resnet18.a1_in1k")


@pytest.mark.slow
def test_the_libraries_are_listed_by_pattern() -> None:
    found = [a.name for a in architectures("resnet18")]
    assert {"timm:resnet18", "torchvision:resnet18"} <= set(found)
    assert {a.family for a in architectures("torchvision:*")} == {"torchvision"}
    assert external.names("timm")
