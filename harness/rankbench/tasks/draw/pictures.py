"""What a trained DRAW draws, as PNG files: samples, the canvas over time, reconstructions."""

from __future__ import annotations

import io

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from rankbench.data.images.mnist import SIDE
from rankbench.tasks.draw.model import Drawer

SAMPLES = 10  # along a side of the grid of samples
SHOWN = 8  # pictures whose canvas over time, or reconstruction, is shown
STAGES = 10  # canvases of a picture at most
_GAP = 2  # pixels between two pictures


def pictures(model: Drawer, test: Tensor, seed: int) -> dict[str, bytes]:
    """Files by name: probabilities of pixels, white for 1, of the same latents for every model.

    `test`: pictures (n, p), 0 or 1, of which the first are reconstructed from one sample each.
    """
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    T, latent = model.noise_size
    place = model.canvas  # for its type and device
    with torch.no_grad():
        noise = torch.randn(T, SAMPLES**2, latent, generator=generator).to(place)
        canvases = model.generate(noise)
        chosen = test[:: max(1, len(test) // SHOWN)][:SHOWN].to(place)
        again = torch.randn(T, len(chosen), latent, generator=generator).to(place)
        logits = model(chosen, again)[2]
    stages = torch.linspace(0, T - 1, min(T, STAGES)).round().long()
    return {
        "samples.png": grid(canvases[-1], SAMPLES),
        "canvas.png": grid(canvases[stages, :SHOWN].transpose(0, 1).flatten(0, 1), len(stages)),
        "reconstructions.png": grid(torch.cat([chosen, logits.sigmoid()]), len(chosen)),
    }


def grid(shown: Float[Tensor, "n p"], columns: int) -> bytes:
    """Pictures of values from 0 to 1, row after row, as the bytes of a PNG."""
    step = SIDE + _GAP
    rows = -(-len(shown) // columns)
    sheet = Image.new("L", (columns * step - _GAP, rows * step - _GAP), color=128)
    levels = (shown.float().cpu().clamp(0, 1) * 255).round().byte().unflatten(1, (SIDE, SIDE))
    for place, picture in enumerate(levels):
        row, column = divmod(place, columns)
        sheet.paste(Image.fromarray(picture.numpy()), (column * step, row * step))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()
