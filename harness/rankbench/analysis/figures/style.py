"""The look of every figure: names, colours, sizes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rankbench.analysis.figures.media import FONT, fitted, tallest
from rankbench.analysis.names import LEAST_SQUARES, NAMES

# Okabe and Ito's palette, told apart by readers with any kind of colour blindness.
COLOURS: dict[str, str] = {
    "dense": "#000000",
    LEAST_SQUARES: "#7a7a7a",
    "low_rank": "#56b4e9",
    "cp": "#e69f00",
    "tucker": "#cc79a7",
    "block_term": "#d55e00",
    "tensor_train": "#0072b2",
    "tensor_ring": "#009e73",
}
# A star or a cross of the same size looks smaller than a disc.
_SCALE = {"*": 1.6, "P": 1.15, "X": 1.15, "^": 1.1, "v": 1.1, "D": 0.9, "s": 0.95}
MARKERS: dict[str, str] = {
    "dense": "s",
    LEAST_SQUARES: "X",
    "low_rank": "v",
    "cp": "P",
    "tucker": "D",
    "block_term": "o",
    "tensor_train": "^",
    "tensor_ring": "*",
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)))
PICTURE = "cividis"  # matrices: perceptually even, also in grey

# Splits, easy to hard, by shape and colour; more than these share looks.
SPLIT_LOOKS: tuple[tuple[str, str], ...] = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "D"),
    ("#cc79a7", "^"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
)
PUBLISHED: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.1}

SMALL = "small"  # 7.5 points where the letters are of 9
PNG_DPI = 150
_LEGEND_LINES = 3  # above the axes, that figures have room for

_SIZES: Any = {  # points on the screen; matplotlib types the keys one by one
    "font.size": FONT,
    "figure.titlesize": FONT + 1,
    "axes.titlesize": FONT + 1,
    "axes.labelsize": FONT,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "legend.fontsize": FONT - 1,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.0,
    "grid.linewidth": 0.6,
}
_LOOKS: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # text stays text
}


class Fitted(Figure):
    """A figure fitted to its medium, its letters `scale` times as large as on the screen."""

    scale = 1.0


@contextmanager
def house(figure: Figure | None = None) -> Iterator[None]:
    """Matplotlib's settings as this house has them, for the time of a `with`.

    To write `figure` is to make ticks, so it has to happen at its scale.
    """
    with mpl.rc_context(_LOOKS):
        _rescale(getattr(figure, "scale", 1.0))
        yield


def new(width: float, height: float) -> Figure:
    """An empty figure, on a screen of `width` by `height` inches; pyplot never learns of it.

    What is drawn on it within the same `house` is at its scale.
    """
    width, height, scale = fitted(width, height)
    pad = 0.06 * scale
    layout = ConstrainedLayoutEngine(h_pad=pad, w_pad=pad)
    figure = Fitted(figsize=(width, height), layout=layout)
    figure.scale = scale
    _rescale(scale)
    return figure


def _rescale(scale: float) -> None:
    mpl.rcParams.update({key: size * scale for key, size in _SIZES.items()})


def points(size: float) -> float:
    """`size` in points on the screen, at the scale of the figure being drawn."""
    return size * float(mpl.rcParams["font.size"]) / FONT


def legend_above(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """A legend above the axes, in as many of `columns` columns as the figure has room for.

    The figure grows by what it takes of lines more than figures have room for, as its page allows.
    """
    for number in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=number)
        if number == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    more = max(0, math.ceil(len(handles) / number) - _LEGEND_LINES)
    figure.set_figheight(min(tallest(), figure.get_figheight() + more * points(13) / 72))


def name_axes(ax: Axes, *, x: str, y: str, title: str = "") -> None:
    """Label both axes of `ax`."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)


def caption(figure: Figure, sentences: Sequence[str]) -> None:
    """Write `sentences` small under `figure`; nothing where there are none."""
    text = "; ".join(sentence for sentence in sentences if sentence)
    if text:
        # 7.5 points of this typeface are about 17 characters an inch.
        text = textwrap.fill(text, int(16 * figure.get_figwidth() / points(1.0)))
        figure.supxlabel(text, fontsize=SMALL, color="#555555")


def listing(side: Axes, top: float, lines: Sequence[str]) -> None:
    """Write `lines` one below the other in columns, from `top` of the axes `side` down."""
    look: dict[str, Any] = {"family": "monospace", "fontsize": points(7), "linespacing": 1.4}
    side.text(0.0, top, "\n".join(lines), va="top", **look)


def sentence(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def caption_of(figure: Figure) -> str:
    """The caption of `figure`, empty where it has none."""
    return figure.get_supxlabel()


def shade(colour: str, step: int, steps: int) -> tuple[float, float, float]:
    """`colour` mixed with white: pale for the first of `steps`, itself for the last."""
    pale = 0.0 if steps < 2 else 0.5 * (1 - step / (steps - 1))
    red, green, blue = to_rgb(colour)
    return (red + (1 - red) * pale, green + (1 - green) * pale, blue + (1 - blue) * pale)


def mark(family: str, size: float = 5.0) -> dict[str, Any]:
    """Marker and colour of a family, all families of about the same weight."""
    shape = MARKERS[family]
    scaled = size * _SCALE.get(shape, 1.0)
    return {"marker": shape, "color": COLOURS[family], "markersize": points(scaled)}


def family_handles(families: Sequence[str]) -> list[Line2D]:
    """Legend entries of `families`: marker and colour of each, in the order of NAMES."""
    return [Line2D([], [], linestyle="", label=NAMES[f], **mark(f)) for f in NAMES if f in families]


def line_look(colour: str, step: int, steps: int) -> dict[str, Any]:
    """How line `step` of `steps` that share `colour` looks: darker and less broken upwards."""
    dashes = DASHES[(steps - 1 - step) % len(DASHES)]
    return {"color": shade(colour, step, steps), "linestyle": dashes}


def line_styles(families: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes per label, given each label's family, whose colour its lines share."""
    styles: dict[str, dict[str, Any]] = {}
    for family in dict.fromkeys(families.values()):
        own = [label for label, other in families.items() if other == family]
        for step, label in enumerate(own):
            styles[label] = line_look(COLOURS[family], step, len(own))
    return styles


def spans_decades(values: Iterable[float], factor: float = 10.0) -> bool:
    """Whether positive `values` differ by more than `factor`, so that a log scale serves."""
    known = [float(v) for v in values if v == v]
    return bool(known) and min(known) > 0 and max(known) / min(known) > factor


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Ticks of a log `axis` that shows `low` to `high`: 1, 2, 5 and plain where it is short."""
    axis.set_minor_formatter(NullFormatter())
    if high / low < 200:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 15 else (1, 2, 3, 5)))
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
