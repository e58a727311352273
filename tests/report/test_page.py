"""The page in a real browser: headless Chromium without a network."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browsing import chromium, forget_logs, requests_of
from helpers.made_search import HOSTILE, made_search
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tdmr_ray.report.folder import Search, compare
from tdmr_ray.report.page import render_page

MAX_BYTES = 5_000_000

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def open_page(browser: Chrome, searches: list[Search], folder: Path, *, width: int = 1250) -> str:
    """Open the page of some searches and wait until its plots are drawn; return the HTML."""
    text = render_page(compare(searches))
    (folder / "page.html").write_text(text, encoding="utf-8")
    browser.set_window_size(width, 900)
    forget_logs(browser)
    browser.get(f"file://{folder}/page.html")
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script("return document.body.dataset.drawn"))
    return text


@pytest.mark.parametrize("names", [(), HOSTILE], ids=["plain names", "hostile names"])
def test_page_draws_all_plots_without_errors_or_requests(
    names: tuple[str, ...], browser: Chrome, tmp_path: Path
) -> None:
    search = made_search(names=names, title=names[0]) if names else made_search()
    text = open_page(browser, [search], tmp_path)
    assert [entry for entry in browser.get_log("browser") if entry["source"] != "rendering"] == []
    assert requests_of(browser) == [f"file://{tmp_path}/page.html"]
    plots = browser.find_elements(By.CSS_SELECTOR, ".plot")
    assert len(plots) == len(browser.find_elements(By.CSS_SELECTOR, ".plot > .plot-container")) >= 9
    assert browser.title == (names[0] if names else "made")
    assert not browser.find_elements(By.CSS_SELECTOR, "b, img[src=x]")
    assert len(text.encode()) < MAX_BYTES


INTRUDERS = """
const script = document.createElement("script");
script.textContent = "window.intruded = 'a script'";
document.body.append(script);
const image = document.createElement("img");
image.src = "http://127.0.0.1:9/pixel";
document.body.append(image);
const button = document.createElement("button");
button.setAttribute("onclick", "window.intruded = 'a handler'");
document.body.append(button);
button.click();
return window.intruded || null;
"""
"""What a name that was not escaped would add to the page."""


def test_page_runs_no_other_script_and_connects_to_nothing(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, [made_search()], tmp_path)
    assert browser.execute_script(INTRUDERS) is None
    blocked = [entry["message"] for entry in browser.get_log("browser")]
    assert sum("Content Security Policy" in message for message in blocked) == 3


def column_of(browser: Chrome, name: str) -> list[str]:
    """Return the visible cells of a column of the leaderboard."""
    heads = [head.text for head in browser.find_elements(By.CSS_SELECTOR, ".board th")]
    rows = browser.find_elements(By.CSS_SELECTOR, ".board tbody tr")
    position = heads.index(name) + 1
    return [row.find_element(By.CSS_SELECTOR, f"td:nth-child({position})").text for row in rows if row.is_displayed()]


def test_leaderboard_sorts_and_filters(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, [made_search()], tmp_path)
    heads = {head.text: head for head in browser.find_elements(By.CSS_SELECTOR, ".board th")}
    heads["latency ms"].click()
    slow, fast, none = ["2.30"] * 3, ["1.90"] * 3, ["-"] * 2  # two pairs and scratch for each target; two probes
    assert column_of(browser, "latency ms") == slow + fast + none
    heads["latency ms"].click()
    assert column_of(browser, "latency ms") == fast + slow + none
    heads["foundation"].click()
    assert column_of(browser, "foundation") == ["glyph_vit"] * 3 + ["glyph_cnn"] * 3 + ["-"] * 2
    heads["test %"].click()
    shown = [float(re.split(" ", cell)[0]) for cell in column_of(browser, "test %")]
    assert shown == sorted(shown, reverse=True)
    field = browser.find_element(By.CSS_SELECTOR, "input[type=search]")
    field.send_keys("vit TDMR LCNET")
    assert column_of(browser, "target") == ["lcnet_050"]
    field.send_keys(" nothing")
    assert column_of(browser, "target") == []


def test_page_is_not_wider_than_a_phone(browser: Chrome, tmp_path: Path) -> None:
    open_page(browser, [made_search()], tmp_path, width=500)
    width = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


def test_searches_on_different_images_get_separate_sections(browser: Chrome, tmp_path: Path) -> None:
    one, two = made_search(title="one"), made_search(title="two")
    two = Search("two", [record.model_copy(update={"data": "other"}) for record in two.records], two.costs)
    open_page(browser, [one, two], tmp_path)
    assert [head.text for head in browser.find_elements(By.CSS_SELECTOR, "h1")] == ["one", "two"]
    assert len(browser.find_elements(By.CSS_SELECTOR, ".board")) == 2
