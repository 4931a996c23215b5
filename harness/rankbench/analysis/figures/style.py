"""Define the look that all figures share: colours, markers, sizes and layout."""

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

# The palette of Okabe and Ito, which readers with any kind of colour blindness can distinguish.
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
# Factors of marker size: a star or a cross looks smaller than a disc of the same size.
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
PICTURE = "cividis"  # For matrices: perceptually uniform, also in greyscale.

# Colours and markers of splits, from easy to hard. Further splits reuse them.
SPLIT_LOOKS: tuple[tuple[str, str], ...] = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "D"),
    ("#cc79a7", "^"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
)
PUBLISHED: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 1.1}

SMALL = "small"  # 7.5 points if the font has 9.
PNG_DPI = 150
_LEGEND_LINES = 3  # Figures have room for this many lines above the axes.

_SIZES: Any = {  # In points on a screen. Matplotlib types each key separately, hence Any.
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
    "pdf.fonttype": 42,  # Embed fonts, so that text can be selected.
}


class Fitted(Figure):
    """A figure fitted to its medium; `scale` is the size of its font relative to the screen's."""

    scale = 1.0


@contextmanager
def house(figure: Figure | None = None) -> Iterator[None]:
    """Return a context with Rankbench's Matplotlib settings.

    Args:
        figure: A figure to write in this context. Its scale applies, because writing a figure
            creates ticks.
    """
    with mpl.rc_context(_LOOKS):
        _rescale(getattr(figure, "scale", 1.0))
        yield


def new(width: float, height: float) -> Figure:
    """Create an empty figure, fitted to the current medium and unknown to pyplot.

    Call it within `house`: what is drawn there afterwards uses the scale of the figure.

    Args:
        width: The width on a screen in inches.
        height: The height on a screen in inches.
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
    """Convert a size in points on a screen to the scale of the figure being drawn."""
    return size * float(mpl.rcParams["font.size"]) / FONT


def legend_above(figure: Figure, handles: Sequence[Line2D], columns: int) -> None:
    """Draw a legend above the axes.

    The figure grows, as far as its medium allows, if the legend needs more than three lines.

    Args:
        figure: The figure.
        handles: The legend entries.
        columns: The largest number of columns; fewer are used if the figure is too narrow.
    """
    for number in range(min(columns, len(handles)), 0, -1):
        legend = figure.legend(handles=handles, loc="outside upper center", ncols=number)
        if number == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()
    more = max(0, math.ceil(len(handles) / number) - _LEGEND_LINES)
    figure.set_figheight(min(tallest(), figure.get_figheight() + more * points(13) / 72))


def name_axes(ax: Axes, *, x: str, y: str, title: str = "") -> None:
    """Set the labels of both axes and the title."""
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)


def caption(figure: Figure, sentences: Sequence[str]) -> None:
    """Write `sentences` in small type below `figure`, leaving out empty ones."""
    text = "; ".join(sentence for sentence in sentences if sentence)
    if text:
        # At 7.5 points this typeface has about 17 characters per inch.
        text = textwrap.fill(text, int(16 * figure.get_figwidth() / points(1.0)))
        figure.supxlabel(text, fontsize=SMALL, color="#555555")


def listing(side: Axes, top: float, lines: Sequence[str]) -> None:
    """Write `lines` in a monospaced font, from `top` of the axes `side` downwards."""
    look: dict[str, Any] = {"family": "monospace", "fontsize": points(7), "linespacing": 1.4}
    side.text(0.0, top, "\n".join(lines), va="top", **look)


def sentence(text: str) -> str:
    """Capitalise the first letter of `text`."""
    return text[:1].upper() + text[1:]


def caption_of(figure: Figure) -> str:
    """Return the caption of `figure`, or "" if it has none."""
    return figure.get_supxlabel()


def shade(colour: str, step: int, steps: int) -> tuple[float, float, float]:
    """Mix `colour` with white: pale for the first of `steps`, unchanged for the last."""
    pale = 0.0 if steps < 2 else 0.5 * (1 - step / (steps - 1))
    red, green, blue = to_rgb(colour)
    return (red + (1 - red) * pale, green + (1 - green) * pale, blue + (1 - blue) * pale)


def mark(family: str, size: float = 5.0) -> dict[str, Any]:
    """Return marker and colour of a family, scaled so that all families look equally large."""
    shape = MARKERS[family]
    scaled = size * _SCALE.get(shape, 1.0)
    return {"marker": shape, "color": COLOURS[family], "markersize": points(scaled)}


def family_handles(families: Sequence[str]) -> list[Line2D]:
    """Return legend entries of `families` in the order of NAMES."""
    return [Line2D([], [], linestyle="", label=NAMES[f], **mark(f)) for f in NAMES if f in families]


def line_look(colour: str, step: int, steps: int) -> dict[str, Any]:
    """Return the look of line `step` of `steps` lines of one colour.

    Later lines are darker and less broken.
    """
    dashes = DASHES[(steps - 1 - step) % len(DASHES)]
    return {"color": shade(colour, step, steps), "linestyle": dashes}


def line_styles(families: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return colour and dashes for each label.

    Args:
        families: The family of each label. The lines of a family share its colour.
    """
    styles: dict[str, dict[str, Any]] = {}
    for family in dict.fromkeys(families.values()):
        own = [label for label, other in families.items() if other == family]
        for step, label in enumerate(own):
            styles[label] = line_look(COLOURS[family], step, len(own))
    return styles


def spans_decades(values: Iterable[float], factor: float = 10.0) -> bool:
    """Return whether `values` are positive and span more than `factor`, which suits a log scale."""
    known = [float(v) for v in values if v == v]
    return bool(known) and min(known) > 0 and max(known) / min(known) > factor


def log_axis(axis: Axis, low: float, high: float) -> None:
    """Set readable ticks on a log axis; a short one gets plain numbers at 1, 2 and 5.

    Args:
        axis: The axis.
        low: The smallest value on it.
        high: The largest value on it.
    """
    axis.set_minor_formatter(NullFormatter())
    if high / low < 200:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low > 15 else (1, 2, 3, 5)))
        axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
