"""Chromium on the page, driven by Playwright: Debian's browser, none is downloaded."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.page.site import Site


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; its pages must be closed by whoever opens them."""
    path = shutil.which("chromium")
    assert path, "chromium is missing: `make test` installs it on Debian"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def a_page(browser: Browser, site: Site, **context: Any) -> Iterator[Page]:
    """Signed in. What the console complains of on it is a fault, whatever a test is about."""
    complaints: list[str] = []
    opened = browser.new_context(**context)
    page = opened.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    page.goto(site.address)
    page.get_by_label("Your key").fill(site.world.key.text)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#cards[aria-busy=false]").wait_for(state="attached")
    page.locator("#modelId option").first.wait_for(state="attached")
    yield page
    opened.close()
    expected = "the server responded with a status of"  # what a test asked for in vain
    assert [each for each in complaints if expected not in each] == []


def until(page: Page, holds: str) -> None:
    """Wait for a JavaScript expression to hold. Playwright's own waiting takes `eval`, which the
    page's Content-Security-Policy refuses."""
    deadline = time.monotonic() + 30
    while not page.evaluate(holds):
        assert time.monotonic() < deadline, f"{holds} never held"
        page.wait_for_timeout(50)


def faults_of(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
