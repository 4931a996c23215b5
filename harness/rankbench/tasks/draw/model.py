"""The DRAW network: it encodes and draws a picture in T glimpses, with latents for each.

Letters: b pictures, T glimpses, p pixels, z latents of a glimpse.
Source: Gregor et al., DRAW, ICML 2015, Sec. 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.modules import State, build_cell
from rankbench.data.images.mnist import PIXELS, SIDE
from rankbench.tasks.draw.attention import ReadAll, Reader, ReadGrid, WriteAll, WriteGrid

if TYPE_CHECKING:
    from rankbench.tasks.base import Context, Point


class Drawer(nn.Module):
    """The DRAW network: the point's cell encodes, and a dense LSTM decodes and draws.

    The initial canvas and the initial hidden states are learned.

    Args:
        point: Cell and layer of the encoder, and the type of all weights.
        context: Seed and device.
        glimpses: Steps in which a picture is read and drawn, T.
        decoder_size: Hidden units of the decoder.
        latent_size: Latents of a glimpse, z.
        grids: Filters along a side of the reading and of the writing grid; None for no attention.
    """

    def __init__(
        self,
        point: Point,
        context: Context,
        *,
        glimpses: int,
        decoder_size: int,
        latent_size: int,
        grids: tuple[int, int] | None,
    ) -> None:
        super().__init__()
        assert point.cell is not None
        dtype: torch.dtype = getattr(torch, point.dtype)
        hidden = decoder_size
        self.glimpses = glimpses
        torch.manual_seed(context.seed)  # Seeds all weights but the encoder's, and the noise.
        self.reader: Reader = ReadGrid(SIDE, grids[0], hidden, dtype) if grids else ReadAll()
        self.writer = (
            WriteGrid(SIDE, grids[1], hidden, dtype) if grids else WriteAll(SIDE, hidden, dtype)
        )
        self.latent = nn.Linear(point.cell.hidden_size, 2 * latent_size, dtype=dtype)
        self.decoder = nn.LSTMCell(latent_size, hidden, dtype=dtype)
        self.canvas = nn.Parameter(torch.zeros(PIXELS, dtype=dtype))
        self.first_drawn = nn.Parameter(torch.zeros(2, hidden, dtype=dtype))
        self.encoder = build_cell(
            point.cell,
            point.layer,
            context.seed,
            dtype,
            precision=point.compute.products(dtype),
        )
        self.first_read = nn.Parameter(
            torch.zeros(len(self.encoder.STATES), point.cell.hidden_size, dtype=dtype)
        )
        self.to(context.device)

    @property
    def noise_size(self) -> tuple[int, int]:
        """Shape of the noise of one picture: glimpses T and latents z of each."""
        return self.glimpses, self.decoder.input_size

    def forward(
        self, x: Float[Tensor, "b p"], noise: Float[Tensor, "T b z"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, "T b"], Float[Tensor, "b p"]]:
        """Encode and draw pictures (Eq. 3 to 12).

        Args:
            x: Pixels, 0 or 1.
            noise: Draws from N(0, 1), one for each latent.

        Returns:
            The reconstruction loss -log p(x | z) of each picture in nats, KL(q(z_t | x) || N(0, 1))
            of each glimpse and picture in nats, and the logits of the final canvas.
        """
        canvas, (h, c) = self._start(len(x))
        state = self._unread(len(x))
        kl = []
        for drawn in noise:
            error = x - torch.sigmoid(canvas)
            glimpse = torch.cat([self.reader(x, error, h), h], dim=1)
            outputs, state = self.encoder(glimpse[:, None], state)
            mean, log_deviation = self.latent(outputs[:, 0]).chunk(2, dim=1)
            deviation = log_deviation.exp()
            squares = mean.square() + deviation.square()
            kl.append((0.5 * (squares - 1) - log_deviation).sum(1))
            h, c = self.decoder(mean + deviation * drawn, (h, c))
            canvas = canvas + self.writer(h)
        lost = F.binary_cross_entropy_with_logits(canvas, x, reduction="none").sum(1)
        return lost, torch.stack(kl), canvas

    def generate(self, noise: Float[Tensor, "T b z"]) -> Float[Tensor, "T b p"]:
        """Draw new pictures from latents of the prior.

        Args:
            noise: Draws from N(0, 1), used as the latents.

        Returns:
            The canvas after every glimpse, as probabilities.
        """
        canvas, (h, c) = self._start(noise.shape[1])
        canvases = []
        for latent in noise:
            h, c = self.decoder(latent, (h, c))
            canvas = canvas + self.writer(h)
            canvases.append(torch.sigmoid(canvas))
        return torch.stack(canvases)

    def _start(self, batch: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = (part.expand(batch, -1) for part in self.first_drawn)
        return self.canvas.expand(batch, -1), (h, c)

    def _unread(self, batch: int) -> State:
        parts = tuple(part.expand(batch, -1) for part in self.first_read)
        return (parts[0], parts[1]) if len(parts) == 2 else parts[0]
