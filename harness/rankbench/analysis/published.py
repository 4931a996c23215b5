"""The numbers that the papers publish: parameter counts with their settings, results, complexities.

BT is "Learning Compact Recurrent Neural Networks with Block-Term Tensor Decomposition" (CVPR
2018). TR is "Compressing Recurrent Neural Networks with Tensor Ring for Action Recognition"
(AAAI 2019). Settings marked "decoded" are not given in the paper; we inferred them because they
reproduce the printed number.
"""

from __future__ import annotations

from dataclasses import dataclass

from rankbench.layers import BlockTerm, Dense, Layer, TensorRing, TensorTrain


@dataclass(frozen=True)
class Published:
    """The input map of a published model, with its parameter count."""

    model: str
    """The name of the model, as the paper calls it where it does."""
    layer: Layer
    """The settings of the input map."""
    count: int
    """The exact number of parameters of `layer`."""
    printed: str
    """The number as the paper prints it, which may be rounded or off; then its compression ratio.
    """
    source: str
    """The paper and the figure, table or section, and what was decoded."""


@dataclass(frozen=True)
class PublishedResult:
    """One published number."""

    task: str
    """The data, and for recovery the noise variance; a key of PROTOCOLS for the video data sets."""
    model: str
    """The name of the model."""
    metric: str
    """What the number measures: a column of runs where there is one."""
    value: float
    """The number in the metric's own unit: accuracies from 0 to 1, RMSE, ratios, epochs, counts."""
    source: str
    """The paper and the figure, table or section."""


@dataclass(frozen=True)
class PublishedComplexity:
    """The asymptotic cost of one pass of a method, as the paper prints it."""

    method: str
    """The name of the method, such as "TT-RNN"."""
    direction: str
    """"forward" or "backward"."""
    time: str
    """The order of the running time, in the letters above PUBLISHED_COMPLEXITY."""
    memory: str
    """The order of the memory, in the same letters."""
    source: str
    """The paper and the table."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the published accuracies on a data set were measured.

    A field is None where the papers do not say.
    """

    title: str
    """The name of the data set in headings."""
    source: str
    """The papers' tables and figures that follow this protocol."""
    input: str
    """What the model reads at each time step, in words."""
    in_features: int
    """The number of features at each time step."""
    time_steps: int | None
    """The number of time steps of a clip."""
    sampling: str | None
    """How the frames of a clip are chosen: "random" is the only way the papers state."""
    ordered: bool | None
    """Whether the chosen frames keep their order in time."""
    epochs: int | None
    """The number of training epochs."""


_UCF11_IN, _UCF11_OUT = (8, 20, 20, 18), (16, 4, 4, 4)


def _ucf11_bt(rank: int) -> BlockTerm:
    return BlockTerm(in_modes=_UCF11_IN, out_modes=_UCF11_OUT, tucker_rank=rank, cp_rank=2)


def _square_bt(rank: int, blocks: int) -> BlockTerm:
    return BlockTerm(in_modes=(8, 8), out_modes=(8, 8), tucker_rank=rank, cp_rank=blocks)


PUBLISHED: tuple[Published, ...] = (
    Published(
        "LSTM",
        Dense(in_modes=(57600,), out_modes=(1024,)),
        58_982_400,
        "58.9M; 59M",
        "BT Fig. 6; TR Table 1",
    ),
    Published(
        "BT-LSTM R=1",
        _ucf11_bt(1),
        722,
        "721; CR 81693x",
        "BT Fig. 6 and Sec. 4.2; N=2 decoded, the CR is of 722",
    ),
    Published(
        "BT-LSTM R=2",
        _ucf11_bt(2),
        1472,
        "1470; CR 40069x",
        "BT Fig. 6 and Sec. 4.2; N=2 decoded, the CR is of 1472",
    ),
    Published(
        "BT-LSTM R=4",
        _ucf11_bt(4),
        3392,
        "3387; CR 17388x",
        "BT Fig. 6 and Sec. 4.2; N=2 decoded, the CR is of 3392",
    ),
    Published(
        "TT-LSTM",
        TensorTrain(in_modes=_UCF11_IN, out_modes=_UCF11_OUT, tt_ranks=(1, 4, 4, 4, 1)),
        3360,
        "3360; CR 17554x",
        "TR Table 1; BT Fig. 6",
    ),
    Published(
        "TR-LSTM",
        TensorRing(
            in_modes=(4, 2, 5, 8, 6, 5, 3, 2),
            out_modes=(16, 4, 2, 4, 2),
            tr_ranks=(10, *(5,) * 12),
        ),
        1725,
        "1725; CR 34192x",
        "TR Table 1",
    ),
    Published(
        "CNN+TR-LSTM",
        TensorRing(in_modes=(32, 64), out_modes=(128, 64), tr_ranks=(40, 60, 48, 48)),
        678_912,
        "0.7M; CR 25",
        "TR Tables 2 and 3",
    ),
    Published(
        "DRAW encoder LSTM",
        Dense(in_modes=(1824,), out_modes=(1024,)),
        1_867_776,
        "1.8M",
        "BT Fig. 7",
    ),
    Published(
        "DRAW encoder BT-LSTM",
        BlockTerm(in_modes=(3, 4, 4, 38), out_modes=(16, 4, 4, 4), tucker_rank=4, cp_rank=1),
        1184,
        "1184; 1577x",
        "BT Fig. 7; modes decoded, one factorisation that fits",
    ),
    Published("recovery d=2 R=1 N=1", _square_bt(1, 1), 129, "129", "BT Fig. 9(c)"),
    Published("recovery d=2 R=4 N=1", _square_bt(4, 1), 528, "528", "BT Fig. 9(d)"),
    Published("recovery d=2 R=1 N=2", _square_bt(1, 2), 258, "258", "BT Fig. 9(e)"),
    Published(
        "recovery d=4 R=4 N=1",
        BlockTerm(in_modes=(2, 2, 4, 4), out_modes=(4, 4, 2, 2), tucker_rank=4, cp_rank=1),
        384,
        "384",
        "BT Fig. 9(f); modes decoded, any pairing with I_k J_k = 8 fits",
    ),
)

PUBLISHED_RESULTS: tuple[PublishedResult, ...] = (
    PublishedResult("ucf11", "LSTM", "top_accuracy", 0.697, "BT Fig. 6, Table 2, TR Table 1"),
    PublishedResult("ucf11", "BT-LSTM R=1", "top_accuracy", 0.784, "BT Fig. 6"),
    PublishedResult("ucf11", "BT-LSTM R=2", "top_accuracy", 0.803, "BT Fig. 6"),
    PublishedResult(
        "ucf11", "BT-LSTM R=4", "top_accuracy", 0.853, "BT Fig. 6, Table 2, TR Table 1"
    ),
    PublishedResult("ucf11", "TT-LSTM", "top_accuracy", 0.781, "BT Fig. 6, re-run"),
    PublishedResult("ucf11", "TT-LSTM", "top_accuracy", 0.796, "TT-RNN, in BT Table 2, TR Table 1"),
    PublishedResult("ucf11", "LSTM", "epochs_to_60", 230, "BT Sec. 4.2"),
    PublishedResult("ucf11", "BT-LSTM", "epochs_to_60", 16, "BT Sec. 4.2"),
    PublishedResult("ucf11", "BT-LSTM R=1", "compression_ratio", 81693, "BT Fig. 6"),
    PublishedResult("ucf11", "BT-LSTM R=2", "compression_ratio", 40069, "BT Fig. 6"),
    PublishedResult("ucf11", "BT-LSTM R=4", "compression_ratio", 17388, "BT Fig. 6"),
    PublishedResult("ucf11", "TT-LSTM", "compression_ratio", 17554, "BT Fig. 6"),
    PublishedResult("ucf11", "LSTM", "top_accuracy", 0.681, "TR Fig. 7, re-run"),
    PublishedResult("ucf11", "TT-LSTM", "top_accuracy", 0.803, "TR Fig. 7, re-run"),
    PublishedResult("ucf11", "BT-LSTM R=4", "top_accuracy", 0.856, "TR Fig. 7, re-run"),
    PublishedResult("ucf11", "TR-LSTM", "top_accuracy", 0.869, "TR Table 1, Fig. 7"),
    PublishedResult("ucf11", "TR-LSTM", "compression_ratio", 34192, "TR Fig. 7"),
    PublishedResult("ucf11-features", "CNN+LSTM", "top_accuracy", 0.923, "TR Table 2"),
    PublishedResult("ucf11-features", "CNN+TR-LSTM", "top_accuracy", 0.938, "TR Table 2"),
    PublishedResult("ucf11-features", "CNN+TR-LSTM", "compression_ratio", 25, "TR Sec. UCF11"),
    PublishedResult("hmdb51-features", "CNN+LSTM", "top_accuracy", 0.629, "TR Table 3"),
    PublishedResult("hmdb51-features", "CNN+TR-LSTM", "top_accuracy", 0.638, "TR Table 3"),
    PublishedResult("hmdb51-features", "CNN+TR-LSTM", "compression_ratio", 25, "TR Sec. HMDB51"),
    PublishedResult("recovery noise=0.05", "linear regression", "rmse", 0.16, "TR Fig. 5"),
    PublishedResult("recovery noise=0.05", "TT", "rmse", 0.18, "TR Fig. 5"),
    PublishedResult("recovery noise=0.05", "TR", "rmse", 0.09, "TR Fig. 5"),
    PublishedResult("draw", "DRAW encoder BT-LSTM", "compression_ratio", 1577, "BT Fig. 7"),
    # Parameter counts as printed, rounded or cut off. `Published.count` holds the exact ones.
    PublishedResult("ucf11", "LSTM", "num_params", 58.9e6, "BT Fig. 6, Sec. 4.2"),
    PublishedResult("ucf11", "LSTM", "num_params", 59e6, "TR Table 1"),
    PublishedResult("ucf11", "LSTM", "num_params", 58_982_400, "TR Sec. UCF11"),
    PublishedResult("ucf11", "BT-LSTM R=1", "num_params", 721, "BT Sec. 4.2"),
    PublishedResult("ucf11", "BT-LSTM R=2", "num_params", 1470, "BT Sec. 4.2"),
    PublishedResult("ucf11", "BT-LSTM R=4", "num_params", 3387, "BT Sec. 4.2, TR Table 1"),
    PublishedResult("ucf11", "TT-LSTM", "num_params", 3360, "TR Table 1"),
    PublishedResult("ucf11", "TR-LSTM", "num_params", 1725, "TR Table 1"),
    PublishedResult("hmdb51-features", "CNN+TR-LSTM", "num_params", 0.7e6, "TR Sec. HMDB51"),
    PublishedResult("draw", "DRAW encoder LSTM", "num_params", 1.8e6, "BT Fig. 7"),
    PublishedResult("draw", "DRAW encoder BT-LSTM", "num_params", 1184, "BT Fig. 7"),
    PublishedResult("recovery", "recovery d=2 R=1 N=1", "num_params", 129, "BT Fig. 9(c)"),
    PublishedResult("recovery", "recovery d=2 R=4 N=1", "num_params", 528, "BT Fig. 9(d)"),
    PublishedResult("recovery", "recovery d=2 R=1 N=2", "num_params", 258, "BT Fig. 9(e)"),
    PublishedResult("recovery", "recovery d=4 R=4 N=1", "num_params", 384, "BT Fig. 9(f)"),
)

# The protocol of each task of a published result. Neither paper says how it split its clips.
PROTOCOLS: dict[str, Protocol] = {
    "ucf11": Protocol(
        title="UCF11, end to end",
        source="BT Table 2 and Fig. 6, TR Table 1 and Fig. 7",
        input="frames of 160x120x3",
        in_features=57600,
        time_steps=6,
        sampling="random",
        ordered=True,
        epochs=400,
    ),
    "ucf11-features": Protocol(
        title="UCF11, features of a CNN",
        source="TR Table 2",
        input="features of Inception-V3",
        in_features=2048,
        time_steps=None,
        sampling=None,
        ordered=None,
        epochs=None,
    ),
    "hmdb51-features": Protocol(
        title="HMDB51, features of a CNN",
        source="TR Table 3",
        input="features of Inception-V3",
        in_features=2048,
        time_steps=12,
        sampling="random",
        ordered=None,
        epochs=None,
    ),
}

# Letters: I, J features in and out; I_max, J_max the largest mode of either; d core order; R rank;
# N block terms; n, m input and output cores of TR.
PUBLISHED_COMPLEXITY: tuple[PublishedComplexity, ...] = (
    PublishedComplexity("RNN", "forward", "I J", "I J", "BT Table 1; TR Table 4"),
    PublishedComplexity("RNN", "backward", "I J", "I J", "BT Table 1; TR Table 4"),
    PublishedComplexity("TT-RNN", "forward", "d I R^2 J_max", "R I", "BT Table 1; TR Table 4"),
    PublishedComplexity("TT-RNN", "backward", "d^2 I R^4 J_max", "R^3 I", "BT Table 1; TR Table 4"),
    PublishedComplexity("BT-RNN", "forward", "N d I R^d J_max", "R^d I", "BT Table 1; TR Table 4"),
    PublishedComplexity(
        "BT-RNN", "backward", "N d^2 I R^d J_max", "R^d I", "BT Table 1; TR Table 4"
    ),
    PublishedComplexity("TR-RNN", "forward", "n I R^3 + m J R^3", "R^2 I", "TR Table 4"),
    PublishedComplexity(
        "TR-RNN", "backward", "n d I R^5 + m d I_max J R^5", "R^4 max(I, I_max J)", "TR Table 4"
    ),
)
