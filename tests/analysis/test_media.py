"""What figures are shown on: a screen, a paper's columns, a slide."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from rankbench.analysis.figures import style
from rankbench.analysis.figures.catalog import save, trade_off
from rankbench.analysis.figures.media import FONT, MEDIA, shown_on
from tests.helpers.figure_checks import drawn
from tests.helpers.frames import block_term, frame

INCHES = st.floats(1.0, 30.0)
RUNS = frame("runs", [block_term(R, num_params=129 * R, rmse=0.5 / R) for R in (1, 2, 4)])


@pytest.mark.parametrize("name", MEDIA)
@given(width=INCHES, height=INCHES)
def test_a_figure_fits_its_page_and_can_be_read(name: str, width: float, height: float) -> None:
    medium = MEDIA[name]
    wide, tall, scale = medium.fit(width, height)
    assert wide <= medium.widths[-1] + 1e-9
    assert tall <= medium.height + 1e-9
    assert medium.letters[0] <= FONT * scale + 1e-9 <= medium.letters[1] + 2e-9


@pytest.mark.parametrize(
    ("width", "columns"),
    [(4.0, 1), (6.4, 1), (8.8, 2), (14.0, 2)],
)
def test_a_paper_has_one_column_or_two(width: float, columns: int) -> None:
    found, _, _ = MEDIA["paper"].fit(width, 4.0)
    one, two = MEDIA["paper"].widths
    assert (found <= one) == (columns == 1)
    assert found <= two


def test_a_screen_shows_figures_as_designed() -> None:
    assert MEDIA["screen"].fit(30.0, 20.0) == (30.0, 20.0, 1.0)


@pytest.mark.parametrize("name", MEDIA)
def test_all_letters_of_a_figure_are_of_its_medium(name: str) -> None:
    with shown_on(name):
        figure = trade_off(RUNS)
    with style.house(figure):
        drawn(figure)
    least, most = MEDIA[name].letters
    shown = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]
    sizes = [text.get_fontsize() for text in shown]
    assert len(sizes) >= 10
    assert min(sizes) >= least * 7 / FONT - 1e-6
    assert max(sizes) <= most * (FONT + 1) / FONT + 1e-6


@pytest.mark.parametrize(("name", "grows"), [("screen", True), ("paper", True), ("slide", False)])
def test_a_figure_grows_for_its_legend_as_far_as_its_page(name: str, grows: bool) -> None:
    handles = [Line2D([], [], label=f"a model with a long name {n}") for n in range(30)]
    with shown_on(name), style.house():
        figure = style.new(6.4, 4.4)
        before = figure.get_figheight()
        style.legend_above(figure, handles, 3)
    assert (figure.get_figheight() > before) == grows
    assert figure.get_figheight() <= MEDIA[name].height


def test_what_is_written_has_the_size_of_the_page(tmp_path: Path) -> None:
    with shown_on("paper"):
        save({"front": trade_off(RUNS)}, tmp_path)
    with Image.open(tmp_path / "front.png") as picture:
        assert picture.width / style.PNG_DPI <= MEDIA["paper"].widths[-1]


def test_figures_are_for_the_screen_again_afterwards() -> None:
    before = trade_off(RUNS).get_figwidth()
    with shown_on("slide"):
        assert trade_off(RUNS).get_figwidth() > before
    assert trade_off(RUNS).get_figwidth() == before


def test_another_medium_is_refused() -> None:
    text = r"^style must be one of: screen, paper, slide; got 'slides' \(did you mean 'slide'\?\)$"
    with pytest.raises(ValueError, match=text), shown_on("slides"):
        pass
