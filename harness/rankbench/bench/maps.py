"""The input maps that are compared: those of the papers' LSTMs on UCF11 and of 2048 units."""

from __future__ import annotations

from dataclasses import dataclass

from rankbench.layers import Layer
from rankbench.layers.settings import LayerSettings

GATES = 4  # Gates of an LSTM.
TIME_STEPS = 6  # Frames of a clip.
CLASSES = 11


@dataclass(frozen=True, kw_only=True)
class InputMap:
    """The input map of an LSTM, for all four gates."""

    settings: LayerSettings
    """Decomposition, modes of one gate, and ranks."""
    in_features: int
    """Input features of the LSTM."""
    hidden_size: int
    """Hidden units of the LSTM."""

    @property
    def layer(self) -> Layer:
        """The layer of all four gates.

        Raises:
            ValueError: The settings do not fit the sizes.
        """
        return self.settings.resolve(self.in_features, self.hidden_size, gates=GATES)


def _ucf11(settings: LayerSettings) -> InputMap:
    return InputMap(settings=settings, in_features=57600, hidden_size=256)


def _block_term(rank: int) -> InputMap:
    settings = LayerSettings(
        decomposition="block_term",
        in_modes=(8, 20, 20, 18),
        out_modes=(4, 4, 4, 4),
        tucker_rank=rank,
        cp_rank=2,
    )
    return _ucf11(settings)


MAPS: dict[str, InputMap] = {
    "bt_r1": _block_term(1),
    "bt_r2": _block_term(2),
    "bt_r4": _block_term(4),
    "tt_r4": _ucf11(
        LayerSettings(
            decomposition="tensor_train",
            in_modes=(8, 20, 20, 18),
            out_modes=(4, 4, 4, 4),
            tt_ranks=4,
        )
    ),
    "tr_5_10": _ucf11(
        LayerSettings(
            decomposition="tensor_ring",
            in_modes=(4, 2, 5, 8, 6, 5, 3, 2),
            out_modes=(4, 4, 2, 4, 2),
            tr_ranks=(10, *[5] * 12),
        )
    ),
    "tr_2048": InputMap(
        settings=LayerSettings(
            decomposition="tensor_ring",
            in_modes=(32, 64),
            out_modes=(32, 64),
            tr_ranks=(40, 60, 48, 48),
        ),
        in_features=2048,
        hidden_size=2048,
    ),
    "dense": _ucf11(LayerSettings(decomposition="dense")),
    "dense_2048": InputMap(
        settings=LayerSettings(decomposition="dense"), in_features=2048, hidden_size=2048
    ),
}
