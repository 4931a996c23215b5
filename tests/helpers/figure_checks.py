"""Reading a figure back: what its lines and legends say."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def labels_of(ax: Axes) -> list[str]:
    """The texts of the legend."""
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def line(ax: Axes, label: str) -> tuple[list[float], list[float]]:
    """x and y of the line, or of the error bars, that the legend names `label`."""
    lines = {artist.get_label(): artist for artist in ax.get_lines()}
    lines |= {bars.get_label(): bars.lines[0] for bars in ax.containers}
    x, y = lines[label].get_data()
    return list(map(float, x)), list(map(float, y))


def pictures(figure: Figure) -> list[Axes]:
    """The axes that hold a matrix, without the colour bar."""
    return [ax for ax in figure.axes if ax.images]


def drawn(figure: Figure) -> Figure:
    """The figure, after drawing it: layout and text must not warn."""
    figure.canvas.draw()
    return figure
