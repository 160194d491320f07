"""The built site: whole, strict, with nothing of another host, and fit to be read."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import docs_site
import pytest
from playwright.sync_api import Browser, Route

from tests.page.browser import chromium, faults_of
from tests.site.conftest import BuiltSite
from tests.site.pages import ROOT

LOADED = {"src", "srcset", "poster", "data"}
"""Attributes by which a browser fetches something at once."""
LOOKED_AT = (
    "index",
    "quickstart",
    "architecture",
    "memory",
    "reference/texttovideojob",
    "reference/gateway",
    "files/examples/gitops/index",
)
JUDGED = ("index", "quickstart", "architecture", "reference/gateway")
"""By axe, which takes its time with what is long."""
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 860}


class Seen(HTMLParser):
    """What a page links to, what it loads, its anchors, and its words outside of code."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._inside: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("code", "pre", "script", "style", "svg"):
            self._inside.append(tag)
        if "id" in values:
            self.anchors.add(values["id"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.append(values["href"])
        elif "href" in values and tag == "a":
            self.links.append(values["href"])
        self.loads += [value for name, value in values.items() if name in LOADED]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.words.append(data)


@pytest.fixture(scope="module")
def seen(site: BuiltSite) -> dict[Path, Seen]:
    return {page.resolve(): Seen(page) for page in site.pages}


def test_the_builder_has_nothing_to_say(site: BuiltSite) -> None:
    assert "No issues found" in site.said
    assert "warning" not in site.said.lower()


def test_a_link_to_nothing_ends_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[lost](lost.md)\n")
    monkeypatch.setattr(docs_site, "ROOT", tmp_path)
    monkeypatch.setattr(docs_site, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(docs_site, "PAGES_FROM_ELSEWHERE", {})
    with pytest.raises(docs_site.NotFoundError, match=r"lost\.md"):
        docs_site.stage(tmp_path / "build")


def test_every_page_is_in_the_navigation_and_nothing_else(site: BuiltSite) -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())
    named = list(_named(config["project"]["nav"]))
    staged = {
        page.relative_to(docs_site.STAGED).as_posix()
        for page in docs_site.STAGED.rglob("*.md")
        if page.relative_to(docs_site.STAGED).parts[0] != "files"
    }
    assert sorted(named) == sorted(staged), "put the page into zensical.toml's nav"


def _named(entry: Any) -> Iterator[str]:
    match entry:
        case str():
            yield entry
        case list():
            for each in entry:
                yield from _named(each)
        case dict():
            for each in entry.values():
                yield from _named(each)


def test_every_link_and_anchor_of_the_site_leads_somewhere(
    site: BuiltSite, seen: dict[Path, Seen]
) -> None:
    lost = []
    for page, held in seen.items():
        for link in [*held.links, *held.loads]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            # The page for what is not there is shown at any address: its links begin at the root.
            start, path = (site.folder, path[1:]) if path.startswith("/") else (page.parent, path)
            target = (start / path).resolve() if path else page
            anchors = seen[target].anchors | {"", "__skip"} if target in seen else None
            if not target.is_file() or (anchors and unquote(parts.fragment) not in anchors):
                lost.append((page.name, link))
    assert lost == []


def test_nothing_is_loaded_from_another_host(site: BuiltSite, seen: dict[Path, Seen]) -> None:
    outside = [
        (page.name, address)
        for page, held in seen.items()
        for address in held.loads
        if urlsplit(address).netloc
    ]
    assert outside == []
    for sheet in site.folder.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", sheet.read_text()) == []


def test_no_markdown_is_left_over(seen: dict[Path, Seen]) -> None:
    left = [
        (page.name, words.strip())
        for page, held in seen.items()
        for words in held.words
        if re.search(r"\|---|\]\(|^\s*#+ |\*\*", words)
    ]
    assert left == []


def test_the_notes_for_whoever_works_on_it_are_not_on_the_site(site: BuiltSite) -> None:
    assert list(site.folder.rglob("dev-notes*")) == []


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_pages_are_fit_to_be_read(
    browser: Browser, site: BuiltSite, size: Any, scheme: Any
) -> None:
    """On a phone and on a desk nothing is wider than the window, axe finds nothing serious, and the
    browser asks no other host for anything."""
    faults: list[str] = []
    with served(site.folder) as address:
        context = browser.new_context(viewport=size, color_scheme=scheme)

        def only_from_here(route: Route) -> None:
            if route.request.url.startswith(address):
                route.continue_()
            else:
                faults.append(f"asks {route.request.url}")
                route.abort()

        context.route("**/*", only_from_here)
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        for name in LOOKED_AT:
            page.goto(f"{address}{name}.html")
            wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            faults += [f"{name}: {wider} pixels too wide"] if wider > 0 else []
            if name in JUDGED:
                faults += [f"{name}: {fault}" for fault in faults_of(page)]
        context.close()
    assert faults == []


def test_the_search_has_every_field(site: BuiltSite) -> None:
    index = (site.folder / "search.json").read_text()
    assert "queueDeadlineSeconds" in index
    assert "reference/texttovideojob.html" in index
