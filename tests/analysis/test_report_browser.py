"""The report in a browser: quiet, asks nothing of a network, sorts, filters, hovers, fits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rankbench.analysis.report.build import written
from rankbench.common.text import plain
from tests.helpers.browser import Browser, browsed
from tests.helpers.reported import ATTACKS, MADE, attacked, frames, judged

_SECTIONS = ("summary", "claims", "runs", "charts", "provenance")
_TYPE = """
const box = document.getElementById(arguments[0]);
box.value = arguments[1];
box.dispatchEvent(new Event('input', {bubbles: true}));
"""
# Controls without a name, ids that are there twice, and levels of headings that are skipped.
_UNNAMED = """
return [...document.querySelectorAll('input, select, button, summary, [tabindex="0"]')]
  .filter((one) => !(one.labels?.length || one.getAttribute('aria-label')
    || one.getAttribute('aria-labelledby') || one.textContent.trim()))
  .map((one) => one.outerHTML.slice(0, 90));
"""
_TWICE = """
const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
return ids.filter((id, place) => ids.indexOf(id) !== place);
"""
_SKIPPED = """
const heads = [...document.querySelectorAll('h1, h2, h3, h4')];
const levels = heads.map((one) => Number(one.tagName[1]));
return levels.filter((level, place) => place && level > levels[place - 1] + 1);
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    yield from browsed(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(written({"pareto": frames("pareto")}, judged(), MADE), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, studied: Path) -> Browser:
    browser.screen(1280)
    browser.open(studied)
    return browser


def see(browser: Browser, figure: str) -> None:
    """Bring a chart to the screen, and wait until it is drawn."""
    scroll = "document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant'})"
    browser.run(scroll, figure)
    browser.wait(f"document.querySelector('{figure} .plot svg .scatterlayer')")


def column(browser: Browser, name: str) -> list[str]:
    """The texts of a column on the page of the table that is shown."""
    script = """
    const table = document.getElementById('runs-table');
    const heads = [...table.tHead.rows[0].cells];
    const place = heads.findIndex((cell) => cell.dataset.column === arguments[0]);
    return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
    """
    return list(browser.run(script, name))


def shown(browser: Browser, element: str) -> str:
    return str(browser.run("return document.getElementById(arguments[0]).textContent", element))


def test_every_chart_is_drawn_without_an_error_or_a_request(page: Browser) -> None:
    for figure in page.run(
        "return [...document.querySelectorAll('figure.chart')].map((f) => f.id)"
    ):
        see(page, f"#{figure}")
    assert page.outside == []
    assert page.logged == []


def test_a_heading_sorts_and_says_how(page: Browser) -> None:
    click = "document.querySelector('[data-column=num_params] button').click()"
    states = "return document.querySelector('[data-column=num_params]').ariaSort"
    for state, turned in (("ascending", False), ("descending", True)):
        page.run(click)
        assert page.run(states) == state
        found = [int(text.replace(",", "")) for text in column(page, "num_params")]
        assert found == sorted(found, reverse=turned)
    page.run("document.querySelector('[data-column=cp_rank] button').click()")
    ranks = column(page, "cp_rank")
    known = [int(text) for text in ranks if text]
    assert known == sorted(known)
    assert ranks == [str(rank) for rank in known] + [""] * (len(ranks) - len(known))


def test_words_numbers_and_choices_filter(page: Browser) -> None:
    runs = frames("pareto")["runs"]
    page.run(_TYPE, "runs-search", "tensor ring num_params<=1000")
    ring = runs["decomposition"] == "tensor_ring"
    number = int((ring & (runs["num_params"] <= 1000)).sum())
    assert shown(page, "runs-count") == f"{number} of 50 runs"
    assert set(column(page, "decomposition")) == {"★tensor ring"}
    page.run(_TYPE, "runs-search", "speed>3")
    assert shown(page, "runs-wrong") == "There is no column speed here."
    page.run(_TYPE, "runs-search", "")
    assert shown(page, "runs-wrong") == ""
    choose = """
    const facet = document.querySelector('[data-facet=decomposition]');
    facet.value = [...facet.options].find((option) => option.textContent === 'cp').value;
    facet.dispatchEvent(new Event('change'));
    """
    page.run(choose)
    assert shown(page, "runs-count") == f"{(runs['decomposition'] == 'cp').sum()} of 50 runs"


def test_the_chart_of_runs_follows_the_filter(page: Browser) -> None:
    see(page, "#explore")
    page.run(_TYPE, "runs-search", "tucker")
    page.wait("document.querySelectorAll('#explore .legend button').length === 1")
    command = page.run("return document.querySelector('#explore .command code').textContent")
    assert command == (
        'rankbench query "select decomposition, num_params, top_accuracy from runs where study in '
        "('pareto')\" --results results/reference"
    )


def _point_at(browser: Browser, figure: str, place: int) -> str:
    """Move the mouse to a mark of a chart; what is shown beside it."""
    from selenium.webdriver import ActionChains

    marks = f"{figure} .scatterlayer .points path"
    mark = browser.run(f"return document.querySelectorAll('{marks}')[arguments[0]]", place)
    ActionChains(browser.driver).move_to_element(mark).perform()
    browser.wait(f"document.querySelector('{figure} .hoverlayer .hovertext')")
    return str(browser.run(f"return document.querySelector('{figure} .hoverlayer').textContent"))


def test_a_mark_of_the_front_tells_its_settings(page: Browser) -> None:
    see(page, "#front-pareto-0")
    last = "return document.querySelectorAll('#front-pareto-0 .points path').length - 1"
    told = _point_at(page, "#front-pareto-0", page.run(last))
    for words in ("d=", "R=", "ranks ", "modes ", "parameters, CR ", "on the front, 1 seed"):
        assert words in told


def test_arrow_keys_go_through_the_marks_and_say_them(page: Browser) -> None:
    from selenium.webdriver import Keys

    see(page, "#front-pareto-0")
    plot = page.run("return document.querySelector('#front-pareto-0 .plot')")
    plot.send_keys(Keys.ARROW_RIGHT)
    first = shown(page, "live")
    plot.send_keys(Keys.ARROW_RIGHT)
    second = shown(page, "live")
    assert ", 1 of " in first
    assert ", 2 of " in second
    assert page.run("return document.querySelectorAll('#front-pareto-0 .hovertext').length") == 1


def test_the_legend_hides_a_series_and_the_values_are_a_table(page: Browser) -> None:
    see(page, "#front-pareto-0")
    count = "return document.querySelectorAll('#front-pareto-0 .scatterlayer .points path').length"
    everything = page.run(count)
    page.run("document.querySelectorAll('#front-pareto-0 .legend button')[1].click()")
    page.wait(f"(() => {{ {count} }})() < {everything}")
    pressed = "#front-pareto-0 .legend button[aria-pressed=false]"
    assert page.run("return document.querySelectorAll(arguments[0]).length", pressed) == 1
    page.run("document.querySelector('#front-pareto-0 details').open = true")
    page.wait("document.querySelector('#front-pareto-0 details table')")
    rows = "return document.querySelector('#front-pareto-0 details tbody').rows.length"
    assert page.run(rows) == 50


def test_claims_are_filtered_by_verdict_and_words(page: Browser) -> None:
    page.run("document.querySelector('#claims-tools input[value=reproduced]').click()")
    assert shown(page, "claims-count") == "9 claims"
    page.run(_TYPE, "claims-search", "no such words")
    assert shown(page, "claims-count") == "0 claims"
    assert page.run("return document.getElementById('claims-none').hidden") is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_readers_until_they_choose(
    browser: Browser, studied: Path, scheme: str
) -> None:
    browser.screen(1280, scheme=scheme)
    browser.open(studied)
    paper = "return getComputedStyle(document.body).backgroundColor"
    looks = {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 26)"}
    assert browser.run(paper) == looks[scheme]
    other = "dark" if scheme == "light" else "light"
    choose = """
    const select = document.getElementById('theme');
    select.value = arguments[0];
    select.dispatchEvent(new Event('change'));
    """
    browser.run(choose, other)
    assert browser.run(paper) == looks[other]
    browser.run(choose, "auto")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_no_wider_than_the_screen(browser: Browser, studied: Path, width: int) -> None:
    browser.screen(width)
    browser.open(studied)
    see(browser, "#front-pareto-0")
    assert browser.run("return document.documentElement.scrollWidth") == width
    for section in _SECTIONS:
        assert (
            browser.run("return document.getElementById(arguments[0]).scrollWidth", section)
            <= width
        )


@pytest.mark.parametrize("faults", [_UNNAMED, _TWICE, _SKIPPED], ids=("names", "ids", "headings"))
def test_a_screen_reader_finds_its_way(page: Browser, faults: str) -> None:
    see(page, "#explore")
    assert page.run(faults) == []
    assert page.run("return document.querySelectorAll('h1, main').length") == 2


def test_attacks_are_shown_and_not_obeyed(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    text = written({ATTACKS[0]: attacked()}, judged(3, ATTACKS[1]), MADE)
    path.write_text(text, encoding="utf-8")
    browser.screen(1280)
    browser.open(path)
    for figure in browser.run(
        "return [...document.querySelectorAll('figure.chart')].map((f) => f.id)"
    ):
        see(browser, f"#{figure}")
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.run("return typeof window.hacked") == "undefined"
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
    assert set(column(browser, "error")) == {plain(attack) for attack in ATTACKS}
    assert browser.outside == []
    assert browser.logged == []
