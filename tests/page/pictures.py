"""Draw the documentation's pictures of the page: `python -m tests.page.pictures`."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.page.browser import a_page, chromium, until
from tests.page.films import SCENES, write_film
from tests.page.site import Site, a_site

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDE = {"width": 1280, "height": 860}
PHONE = {"width": 360, "height": 740}
ASKED = {
    "snow": "A dark blue square gliding over a field of snow",
    "dawn": "A pale sun moving right over the hills at dawn",
    "sea": "A white circle floating over a calm green sea",
    "clay": "A green square moving right over clay dunes",
    "night": "The moon moving right across a violet night sky",
    "field": "A red square moving over a summer field",
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as files:
        for scene in SCENES:
            write_film(Path(files) / scene, scene)
        with a_site(Path(files)) as site, chromium() as browser:
            fill(site)
            for scheme in ("light", "dark"):
                with a_page(browser, site, viewport=WIDE, color_scheme=scheme) as page:
                    draw(page, folder / f"page-{scheme}.png")
            with a_page(browser, site, viewport=WIDE) as page:
                page.get_by_role("button", name=ASKED["dawn"]).click()
                until(page, "document.querySelector('video')?.currentTime > 0.9")
                page.evaluate("document.querySelector('video').pause()")
                draw(page, folder / "page-video.png")
            with a_page(browser, site, viewport=PHONE, device_scale_factor=2) as page:
                page.get_by_role("heading", name="Your videos").scroll_into_view_if_needed()
                page.evaluate("document.querySelector('.bar').scrollIntoView()")
                draw(page, folder / "page-phone.png")


def fill(site: Site) -> None:
    """A gallery as it looks on an ordinary day."""
    for minutes, (scene, prompt) in enumerate(ASKED.items(), 3):
        site.succeed(site.ask(prompt, minutes_ago=7 * minutes, seed=7 * minutes), scene)
    failed = site.ask("A yellow triangle as large as the sky", minutes_ago=5)
    site.fail(
        failed, "OutOfMemory", "pool h100 has GPUs of 80Gi; the video needs 96.2 GiB at denoise"
    )
    site.draw(
        site.ask("A small blue triangle moving up", minutes_ago=1), 64, step=16, steps=25,
        etaSeconds=3.2,
    )  # fmt: skip
    site.ask("A red circle moving right")


def draw(page: Page, path: Path) -> None:
    seen = "image.hidden || image.complete || image.getBoundingClientRect().top > innerHeight"
    until(page, f"[...document.images].every(image => {seen})")
    page.wait_for_timeout(300)
    page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
