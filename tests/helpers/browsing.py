"""Headless Chromium without a network."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

DRIVER = shutil.which("chromedriver")


@contextmanager
def chromium(profile: Path, *more: str) -> Iterator[Chrome]:
    """Provide a browser that logs its console and its requests; without Chromium the test is skipped.

    Args:
        profile: Folder for its profile.
        more: Further switches, without dashes.
    """
    if DRIVER is None:
        pytest.skip("apt-get install chromium chromium-driver")
    options = ChromeOptions()
    quiet = ("background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage", "default-apps")
    for argument in (
        "headless=new",
        "no-sandbox",
        "no-first-run",
        f"user-data-dir={profile}",
        "proxy-server=127.0.0.1:9",
        "enable-unsafe-swiftshader",  # for WebGL without a GPU
        *(f"disable-{feature}" for feature in quiet),
        *more,
    ):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with Chrome(options=options, service=ChromeService(DRIVER)) as driver:
        yield driver


def forget_logs(browser: Chrome) -> None:
    """Drop what the browser logged so far."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)


def requests_of(browser: Chrome) -> list[str]:
    """Return the URLs that were requested since the logs were forgotten."""
    events: list[dict[str, Any]] = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("data:", "blob:", "chrome"))]
