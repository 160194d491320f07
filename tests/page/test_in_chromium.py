"""The page in a real browser: what people do on it, and that everybody can."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browser import a_page, chromium, faults_of, until
from tests.page.films import write_film
from tests.page.site import Site, a_site

PROMPT = "A red circle moving right"
SCHEMES = ("light", "dark")
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_film(folder / "dawn", "dawn")
    return folder


@pytest.fixture
def site(films: Path) -> Iterator[Site]:
    with a_site(films) as site:
        yield site


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with a_page(browser, site) as page:
        yield page


def test_a_video_is_asked_for_watched_and_played(page: Page, site: Site) -> None:
    expect(page.get_by_text("Nothing here yet")).to_be_visible()
    page.get_by_label("What it shows").fill(PROMPT)
    page.get_by_role("button", name="Make video").click()
    card = page.locator(".card")
    expect(card).to_contain_text("Waits for its turn")
    video = site.newest()
    for percent in (12, 57):
        site.draw(video, percent, step=percent // 4, steps=25, etaSeconds=9)
        expect(card).to_contain_text(f"{percent} %")
        expect(card.get_by_role("progressbar")).to_have_attribute("value", str(percent))
    expect(card).to_contain_text("about 9 s left")
    site.succeed(video, "dawn")
    expect(page.get_by_role("log")).to_contain_text(f"Ready: {PROMPT}")
    until(page, "document.querySelector('.card img').naturalWidth === 320")
    page.locator(".open").click()
    until(page, "document.querySelector('video')?.currentTime > 0.5")
    assert page.evaluate("document.querySelector('video').videoWidth") == 320


def test_a_card_that_is_looked_at_moves(page: Page, site: Site) -> None:
    site.succeed(site.ask(PROMPT), "dawn")
    card, image = page.locator(".card"), page.locator(".card img")
    card.hover()
    expect(image).to_have_attribute("src", f"{site.store}/dawn/preview.webp")
    page.mouse.move(0, 0)
    expect(image).to_have_attribute("src", f"{site.store}/dawn/poster.jpg")
    card.locator(".open").focus()
    expect(image).to_have_attribute("src", f"{site.store}/dawn/preview.webp")


def test_what_a_model_cannot_draw_is_said_by_the_field(page: Page, site: Site) -> None:
    width = page.get_by_label("Width")
    page.get_by_label("What it shows").fill(PROMPT)
    width.fill("70")
    page.get_by_role("button", name="Make video").click()
    expect(page.locator("#width-problem")).to_have_text(
        "Width: it is 70; this model needs a multiple of 8, try 64."
    )
    expect(width).to_be_focused()
    expect(width).to_have_attribute("aria-invalid", "true")
    assert site.call(lambda: site.world.videos) == []


def test_what_only_the_gateway_knows_is_said_by_the_field_too(page: Page, site: Site) -> None:
    """The browser's own checks are those of a model's limits; a scheduler's are not among them."""
    page.get_by_label("What it shows").fill(PROMPT)
    page.get_by_text("More settings").click()
    page.get_by_label("Scheduler", exact=True).select_option("DDIMInverseScheduler")
    expect(page.locator("#scheduler-hint")).to_contain_text("is used instead")
    page.get_by_label("If the model cannot use it").select_option("Strict")
    page.get_by_role("button", name="Make video").click()
    expect(page.locator("#scheduler-problem")).to_contain_text("cannot be used with model")
    assert site.call(lambda: site.world.videos) == []


def test_a_failed_video_says_why_and_is_tried_again(page: Page, site: Site) -> None:
    failed = site.ask(PROMPT, seed=7)
    site.fail(failed, "StorageFailed", "the store answered 507")
    card = page.locator(".card").first
    expect(card).to_contain_text("The video could not be stored")
    expect(card).to_contain_text("Try it again.")
    page.locator(".open").click()
    expect(page.get_by_role("dialog")).to_contain_text("the store answered 507")
    expect(page.get_by_role("link", name="Open file")).to_be_hidden()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=f"Retry: {PROMPT}").click()
    expect(page.locator(".card")).to_have_count(2)
    expect(page.locator("[data-state=working]")).to_have_count(1)
    again = site.call(lambda: next(v for v in site.world.videos if v.id != failed.id))
    assert again.spec == failed.spec


def test_another_seed_the_manifest_and_deletion(page: Page, site: Site) -> None:
    video = site.ask(PROMPT, seed=7)
    site.succeed(video, "dawn")
    page.locator(".open").click()
    expect(page.locator("#details-inputs")).to_contain_text("DDIMScheduler")
    expect(page.locator("#details-manifest")).to_contain_text("seed: 7")
    page.get_by_role("button", name="Again with another seed").click()
    expect(page.locator(".card")).to_have_count(2)
    other = site.call(lambda: next(v for v in site.world.videos if v.id != video.id))
    assert other.spec
    assert other.spec.seed not in (None, 7)
    page.locator("[data-state=ready] .open").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator(".card")).to_have_count(2)
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".card")).to_have_count(1)
    assert [each.id for each in site.call(lambda: site.world.videos)] == [other.id]


def test_settings_of_a_video_are_taken_into_the_form(page: Page, site: Site) -> None:
    site.succeed(site.ask(PROMPT, seed=2**63 - 1, width=128, numInferenceSteps=12), "dawn")
    page.locator(".open").click()
    page.get_by_role("button", name="Use these settings").click()
    expect(page.get_by_label("What it shows")).to_have_value(PROMPT)
    expect(page.get_by_label("Seed")).to_have_value(str(2**63 - 1))
    expect(page.get_by_label("Width")).to_have_value("128")
    expect(page.get_by_label("Steps")).to_have_value("12")


def test_signing_out_and_a_wrong_key(page: Page, site: Site) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Your key").fill("t2v_000000000000_" + "a" * 43)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The key is not valid.")
    page.get_by_label("Your key").fill(site.world.key.text)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your videos")).to_be_visible()


def test_a_revoked_key_ends_the_page(page: Page, site: Site) -> None:
    site.call(lambda: site.world.keys.revoke(site.world.key))
    expect(page.get_by_label("Your key")).to_be_visible(timeout=15_000)


def test_many_videos_come_page_by_page(page: Page, site: Site) -> None:
    for number in range(60):
        video = site.ask(f"Number {number}", minutes_ago=60 - number)
        if number == 0:
            site.fail(video, "Stopped", "somebody stopped it")
    page.reload()
    expect(page.locator(".card")).to_have_count(24)
    expect(page.locator(".open").first).to_have_text("Number 59")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".card")).to_have_count(48)
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".card")).to_have_count(60)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    expect(page.locator(".open").last).to_have_text("Number 0")
    page.get_by_role("button", name="Failed 1").click()
    expect(page.locator(".open")).to_have_text(["Number 0"])
    page.get_by_role("button", name="In progress 59").click()
    expect(page.locator(".card")).to_have_count(24)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(browser: Browser, site: Site, scheme: str) -> None:
    site.succeed(site.ask(PROMPT, minutes_ago=3, seed=7), "dawn")
    site.fail(site.ask("A blue square"), "OutOfMemory", "it needs 96 GiB")
    site.draw(site.ask("A green circle"), 40, step=10, steps=25, etaSeconds=8)
    with a_page(browser, site, color_scheme=scheme, reduced_motion="reduce") as page:
        expect(page.locator(".card")).to_have_count(3)
        page.get_by_text("More settings").click()
        page.get_by_role("button", name="Make video").click()
        page.locator("#load summary").click()
        assert faults_of(page) == []
        page.keyboard.press("Escape")
        for name in (PROMPT, "A blue square", "A green circle"):
            page.get_by_role("button", name=name, exact=True).first.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            assert faults_of(page) == []
            page.keyboard.press("Escape")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Your key").wait_for()
        assert faults_of(page) == []


def test_a_phone_shows_all_of_it_without_sideways_scrolling(browser: Browser, site: Site) -> None:
    site.succeed(site.ask(PROMPT + " " + "x" * 200, seed=7), "dawn")
    with a_page(browser, site, viewport=PHONE) as page:
        page.get_by_text("More settings").click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        page.locator(".open").click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert page.evaluate("document.querySelector('.sheet-body').scrollWidth") <= PHONE["width"]


def test_the_keyboard_reaches_everything_in_order(page: Page, site: Site) -> None:
    site.succeed(site.ask(PROMPT), "dawn")
    expect(page.locator(".card")).to_have_count(1)
    page.locator("body").press("Tab")
    expect(page.get_by_role("link", name="Skip to the videos")).to_be_focused()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().split(' ')[0]"))
    assert reached == ["All", "In", "Ready", "Failed", "A"]
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".open")).to_be_focused()
