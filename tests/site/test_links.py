"""Links in README, docs/ and the models' cards lead somewhere, as they stand in the repository."""

import re
import unicodedata
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.site.pages import ROOT, name_of, pages, without_code

HOSTS = {
    "docs.comfy.org",
    "docs.ray.io",
    "docs.sglang.io",
    "docs.vllm.ai",
    "github.com",
    "huggingface.co",
    "kubernetes.io",
    "kueue.sigs.k8s.io",
    "www.kubeflow.org",
    "www.standardwebhooks.com",
}
"""Which pages may link to; what is named in code may be anything."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
ADDRESS = re.compile(r"https?://[^\s)>\]\"']+")


def links(page: Path) -> list[str]:
    return LINK.findall(without_code(page.read_text()))


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of the headings, as GitHub and the site make them, and of what has an id of its own."""
    text = page.read_text()
    plain = re.sub(r"^ *```.*\n(?:.*\n)*? *```$", "", text, flags=re.MULTILINE)
    made: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", plain, re.MULTILINE):
        slug = _slug(heading)
        made.append(f"{slug}-{n}" if (n := made.count(slug)) else slug)
    return frozenset(made) | frozenset(re.findall(r'id="([^"]+)"', text))


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
    text = unicodedata.normalize("NFC", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_to_what_is_there(page: Path) -> None:
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        if (
            not target.exists()
            or not target.is_relative_to(ROOT)
            or (anchor and anchor not in anchors(target))
        ):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_addresses_outside_are_well_formed_and_of_known_hosts(page: Path) -> None:
    strange = []
    for address in ADDRESS.findall(without_code(page.read_text())):
        parts = urlsplit(address.rstrip(".,;:"))
        is_known = parts.hostname in HOSTS or str(parts.hostname).endswith(".example.com")
        if parts.scheme != "https" or not is_known or "…" in address:
            strange.append(address)
    assert strange == [], "known hosts stand in this file"


def test_a_heading_has_the_anchor_that_github_gives_it() -> None:
    assert _slug("Videos from what is in the store") == "videos-from-what-is-in-the-store"
    assert _slug("`spec.loras[]`, [one](a.md)") == "specloras-one"
