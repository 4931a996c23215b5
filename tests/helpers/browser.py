"""A headless Chromium of the tests' own, from the system's packages; it may reach nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import HANG_S, kill_marked, marked, new_mark

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
_LOCAL = ("file:", "data:", "blob:", "chrome:")  # the last: the page that a browser starts with


def programs() -> tuple[str, str] | None:
    """Chromium and its driver, None where one of them is not there."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """A page in Chromium: what it logged, what it asked the network for, and how it looks."""

    def __init__(self, profile: Path) -> None:
        found = programs()
        if found is None:
            pytest.skip("needs chromium and chromium-driver")
        webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
        options = webdriver.ChromeOptions()
        options.binary_location, program = found
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=program)
        self.mark = new_mark()
        try:
            with marked(self.mark):
                self.driver: Any = webdriver.Chrome(options=options, service=service)
            self.driver.command_executor.client_config.timeout = HANG_S
            self.driver.set_page_load_timeout(HANG_S)
            self.driver.set_script_timeout(HANG_S)
        except BaseException:
            kill_marked(self.mark)
            raise
        self.logged: list[str] = []
        self.requested: list[str] = []

    def screen(self, width: int, height: int = 900, *, scheme: str = "light") -> None:
        """A screen of `width` by `height` pixels whose user prefers a light or dark page."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def open(self, page: Path) -> None:
        """Open a file and wait until its scripts are ready."""
        self.driver.get(page.resolve().as_uri())
        self.wait("document.documentElement.dataset.ready === 'true'")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str) -> None:
        """Wait until an expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        until = WebDriverWait(self.driver, HANG_S, poll_frequency=0.02)
        until.until(lambda _: self.run(f"return Boolean({condition})"), condition)

    def close(self) -> None:
        """Close the browser, or kill it where it does not answer."""
        try:
            self.driver.quit()
        finally:
            kill_marked(self.mark)

    def collect(self) -> None:
        """Take up what was logged and requested since the last time."""
        self.logged += [f"{e['level']}: {e['message']}" for e in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])

    @property
    def outside(self) -> list[str]:
        """What was asked of a network."""
        self.collect()
        return [url for url in self.requested if not url.startswith(_LOCAL)]


def browsed(profile: Path) -> Iterator[Browser]:
    """A browser that is closed in the end."""
    browser = Browser(profile)
    try:
        yield browser
    finally:
        browser.close()
