"""Draw PNG files with a trained DRAW: samples, the canvas over time, reconstructions."""

from __future__ import annotations

import io

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rankbench.data.images.mnist import SIDE
from rankbench.tasks.draw.model import Drawer

SAMPLES = 10  # Samples along a side of their grid.
SHOWN = 8  # Pictures in canvas.png and in reconstructions.png.
STAGES = 10  # Most canvases of one picture in canvas.png.
_GAP = 2  # Pixels between two pictures.


def pictures(model: Drawer, test: Tensor, seed: int) -> dict[str, bytes]:
    """Draw samples, canvases over time and reconstructions as PNG files.

    Files show the probability of every pixel, white for 1. With equal seeds, all models draw from
    the same noise.

    Args:
        model: A trained network.
        test: Test pictures (n, p) of 0 and 1; some of them are reconstructed.
        seed: Seed of the noise.

    Returns:
        The content of each file, by its name.
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    T, latent = model.noise_size
    like = model.canvas  # Noise and pictures get its type and device.
    with torch.no_grad():
        noise = torch.randn(T, SAMPLES**2, latent, generator=generator).to(like)
        canvases = model.generate(noise)
        chosen = test[:: max(1, len(test) // SHOWN)][:SHOWN].to(like)
        encoding_noise = torch.randn(T, len(chosen), latent, generator=generator).to(like)
        logits = model(chosen, encoding_noise)[2]
    stages = torch.linspace(0, T - 1, min(T, STAGES)).round().long()
    return {
        "samples.png": grid(canvases[-1], SAMPLES),
        "canvas.png": grid(canvases[stages, :SHOWN].transpose(0, 1).flatten(0, 1), len(stages)),
        "reconstructions.png": grid(torch.cat([chosen, logits.sigmoid()]), len(chosen)),
    }


def grid(shown: Float[Tensor, "n p"], columns: int) -> bytes:
    """Arrange pictures in a grid, row by row, as a PNG file.

    Args:
        shown: Pictures with values from 0 to 1.
        columns: Pictures in a row.

    Returns:
        The content of the file.
    """
    step = SIDE + _GAP
    rows = -(-len(shown) // columns)
    sheet = Image.new("L", (columns * step - _GAP, rows * step - _GAP), color=128)
    levels = (shown.float().cpu().clamp(0, 1) * 255).round().byte().unflatten(1, (SIDE, SIDE))
    for index, picture in enumerate(levels):
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(picture.numpy()), (column * step, row * step))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()
