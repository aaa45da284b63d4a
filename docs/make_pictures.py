"""Make the pictures of the documentation with the program itself.

::

    python docs/make_pictures.py

needs the packages of the ``test`` extra, Chromium and its driver. The pictures are then in
docs/images: the preview page, the report, and photographs before and after.
"""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from imgbatch import Adjustment, process, run_batch

HERE = Path(__file__).parent
PHOTOS = HERE.parent / "examples" / "photos"
PICTURES = HERE / "images"
LARGEST_PICTURE_BYTES = 400_000
SUFFIXES = {".jpg", ".png"}
COPIES = 60


def main() -> None:
    """Make all pictures."""
    PICTURES.mkdir(exist_ok=True)
    make_before_after(PICTURES / "before-after.jpg")
    # A plain name, since the report shows it; mkdir fails if it is another user's.
    folder = Path(tempfile.gettempdir()) / "holiday"
    folder.mkdir()
    try:
        photos = copy_photographs(folder / "photos")
        with open_browser(folder / "browser") as browser:
            make_preview(browser, PHOTOS.parent, PICTURES / "preview.png")
            make_report(browser, photos, folder / "photos-adjusted", PICTURES / "report.png")
    finally:
        shutil.rmtree(folder)
    for picture in sorted(PICTURES.iterdir()):
        size = picture.stat().st_size
        assert size < LARGEST_PICTURE_BYTES, f"{picture} has {size} bytes"
        sys.stdout.write(f"{size // 1000:5} KB  {picture}\n")


def copy_photographs(photos: Path) -> Path:
    """Make a folder such as a camera leaves: many photographs, one of them cut short."""
    photos.mkdir()
    examples = sorted(path for path in PHOTOS.iterdir() if path.suffix in SUFFIXES)
    for number in range(COPIES * len(examples)):
        example = examples[number % len(examples)]
        shutil.copy(example, photos / f"IMG_{1000 + 7 * number}{example.suffix}")
    whole = (PHOTOS / "rocket.jpg").read_bytes()
    (photos / "IMG_2004.jpg").write_bytes(whole[: len(whole) // 2])
    return photos


def make_before_after(target: Path) -> None:
    """Put halves of photographs side by side: as they were, and adjusted."""
    width, height, gap = 480, 320, 8
    names = ("coffee.png", "chelsea.png", "rocket.jpg")
    picture = Image.new("RGB", (len(names) * (width + gap) - gap, height), "white")
    for number, name in enumerate(names):
        data = (PHOTOS / name).read_bytes()
        after = process(data, Adjustment(brightness=6, contrast=15, sharpness=30))
        for side, encoded in enumerate((data, after)):
            photo = Image.open(io.BytesIO(encoded)).convert("RGB").resize((width, height))
            half = photo.crop((side * width // 2, 0, (side + 1) * width // 2, height))
            picture.paste(half, (number * (width + gap) + side * width // 2, 0))
        middle = number * (width + gap) + width // 2
        picture.paste("white", (middle - 1, 0, middle + 1, height))
    picture.save(target, quality=88)


@contextmanager
def open_browser(folder: Path) -> Iterator[webdriver.Chrome]:
    """Start a headless Chromium with a window of its own size and fresh settings."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={folder}")
    browser = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def set_window(browser: webdriver.Chrome, width: int, height: int) -> None:
    """Give the page this many pixels."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def save_screenshot(browser: webdriver.Chrome, target: Path) -> None:
    """Save what is in the window in 256 colours: a third of the bytes, and it does not show."""
    answer = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    picture = Image.open(io.BytesIO(base64.b64decode(answer["data"]))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


def make_preview(browser: webdriver.Chrome, folder: Path, target: Path) -> None:
    """Show a photograph with the preset `bright`."""
    command = [sys.executable, "-m", "imgbatch.cli.preview", "photos", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as preview:
        assert preview.stdout is not None
        try:
            set_window(browser, 964, 660)
            browser.get(preview.stdout.readline().strip() + "#photo=3")
            settle(browser)
            browser.find_element(By.XPATH, "//button[.='bright']").click()
            browser.execute_script("document.activeElement.blur()")
            time.sleep(1)
            save_screenshot(browser, target)
        finally:
            preview.terminate()


def settle(browser: webdriver.Chrome) -> None:
    """Wait until the photograph is there."""
    stage = browser.find_element(By.ID, "stage")
    WebDriverWait(browser, 30).until(lambda _: stage.get_attribute("aria-busy") == "false")


def make_report(browser: webdriver.Chrome, photos: Path, output: Path, target: Path) -> None:
    """Run the batch and show the upper part of its report."""
    report = run_batch(photos, output, Adjustment(contrast=15, sharpness=30))
    set_window(browser, 1000, 1480)
    browser.get(report.path.with_suffix(".html").as_uri())
    time.sleep(1)
    save_screenshot(browser, target)


if __name__ == "__main__":
    main()
