"""A headless Chromium for all tests of pages, and the programs whose pages they are."""

import json
import os
import shutil
import subprocess

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.path.parent.name:
            item.add_marker(pytest.mark.browser)


def _find(what, names):
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"no {what} here ({', '.join(names)}): the pages are NOT TESTED in a browser"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = _find("Chromium", BROWSERS)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    service = Service(_find("chromedriver", ("chromedriver",)), log_output=subprocess.DEVNULL)
    driver = webdriver.Chrome(options, service)
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium):
    """Return the browser with a window of 1200 x 800, and no complaint of any page's at the end."""
    chromium.get_log("performance")
    show_as(chromium)
    yield chromium
    complaints = chromium.get_log("browser")
    chromium.get("about:blank")
    assert [entry["message"] for entry in complaints if entry["level"] == "SEVERE"] == []


def show_as(driver, width=1200, height=800, **features):
    """Set the window's size and media features, such as ``prefers_color_scheme="dark"``."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    media = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})


@pytest.fixture
def show_page():
    return show_as


@pytest.fixture
def requests_of():
    """Return a function that tells what the browser has asked for since the test began."""

    def addresses(driver):
        entries = [json.loads(entry["message"]) for entry in driver.get_log("performance")]
        return {
            entry["message"]["params"]["request"]["url"]
            for entry in entries
            if entry["message"]["method"] == "Network.requestWillBeSent"
        }

    return addresses
