"""The report of many runs in a browser; run by name.

`python -m tests.benchmarks.test_report_benchmark [runs] [rounds]` (default 10 000 and 5) makes the
page of that many runs and prints what a reader waits for, in headless Chromium without a GPU.
"""

from __future__ import annotations

import datetime
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from rankbench.analysis.claims.evaluate import claims
from rankbench.analysis.report.build import Made, written
from tests.helpers.browser import Browser, programs
from tests.helpers.large import REFERENCE, frames

# Milliseconds until the browser has computed and is about to paint what an event asks for.
_WAIT = """
const done = arguments[arguments.length - 1];
const began = performance.now();
{act}
const worked = performance.now() - began;
requestAnimationFrame(() => setTimeout(() => done([worked, performance.now() - began])));
"""
_ACTS = {
    "filter by words": "const box = document.getElementById('runs-search');"
    "box.value = 'tensor_ring'; box.dispatchEvent(new Event('input', {bubbles: true}));",
    "filter by numbers": "const box = document.getElementById('runs-search');"
    "box.value = 'num_params<3000 top_accuracy>0.7';"
    "box.dispatchEvent(new Event('input', {bubbles: true}));",
    "no filter": "const box = document.getElementById('runs-search');"
    "box.value = ''; box.dispatchEvent(new Event('input', {bubbles: true}));",
    "sort": "document.querySelector('[data-column=num_params] button').click();",
    "next page": "document.getElementById('runs-next').click();",
}
_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def large_page(count: int) -> str:
    """The page of a study of `count` runs, with the whole ledger of claims."""
    made = Made(
        at=datetime.datetime.now(datetime.UTC), root="results", version="", commit="", dirty=False
    )
    return written({"many": frames(count)}, claims(REFERENCE), made)


def times(browser: Browser, page: Path) -> dict[str, float]:
    """Milliseconds of loading a page, and of each act once it is there."""
    browser.open(page)
    browser.wait("performance.getEntriesByName('first-contentful-paint').length")
    found = {
        "first paint": browser.run(_PAINT),
        "table ready": browser.run("return performance.getEntriesByName('ready')[0].startTime"),
    }
    time.sleep(0.5)
    for name, act in _ACTS.items():
        worked, painted = browser.driver.execute_async_script(_WAIT.replace("{act}", act))
        found |= {name: worked, f"{name}, to the next paint": painted}
    began = time.perf_counter()
    browser.run("document.querySelector('#charts figure').scrollIntoView({behavior: 'instant'})")
    browser.wait("document.querySelector('#charts .plot svg')")
    return found | {"Plotly and a chart": 1e3 * (time.perf_counter() - began)}


@pytest.mark.benchmark(group="report")
@pytest.mark.skipif(programs() is None, reason="needs chromium and chromium-driver")
def test_a_page_of_a_thousand_runs(benchmark: Any, tmp_path: Path) -> None:
    text = benchmark.pedantic(lambda: large_page(1000), rounds=1)
    assert text.count("<script") == 5


def main(count: int = 10_000, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        began, page = time.perf_counter(), Path(folder) / "report.html"
        page.write_text(large_page(count), encoding="utf-8")
        size = page.stat().st_size / 1e6
        print(f"{count} runs: made in {time.perf_counter() - began:.1f} s, {size:.1f} MB")
        browser = Browser(Path(folder) / "profile")
        try:
            browser.screen(1280)
            rows = [times(browser, page) for _ in range(rounds)]
        finally:
            browser.close()
    print(f"milliseconds in {rounds} rounds:")
    print(f"{'':40} {'median':>8} {'least':>8} {'most':>8}")
    for name in rows[0]:
        own = [row[name] for row in rows]
        print(f"{name:40} {statistics.median(own):8.0f} {min(own):8.0f} {max(own):8.0f}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
