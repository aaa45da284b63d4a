import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from imgbatch_kernels import adjust

GREY = 90


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    photos = tmp_path_factory.mktemp("preview") / "my photos"
    photos.mkdir()
    Image.new("RGB", (900, 600), (GREY, GREY, GREY)).save(photos / "1 grey.png")
    noise = np.random.default_rng(5).integers(0, 256, (1500, 2100, 3), np.uint8)
    noise = np.asarray(Image.fromarray(noise).resize((2100, 1500)).reduce(3).resize((2100, 1500)))
    Image.fromarray(noise).save(photos / "2 noise.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (600, 400), (200, 0, 0)).save(photos / "3 turned.jpg", exif=exif)
    (photos / "5 damaged.jpg").write_bytes((photos / "3 turned.jpg").read_bytes()[:-300])
    Image.new("RGB", (300, 900)).save(photos / f"4 {'a very long name ' * 9}.jpg")
    return photos


@pytest.fixture(scope="module")
def url(folder):
    """Run imgbatch-preview on the folder, and end it as a user would."""
    command = [sys.executable, "-m", "imgbatch.cli.preview", str(folder), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == "imgbatch-preview runs until Ctrl-C\n"


@pytest.fixture
def page(browser, url):
    return Page(browser, url)


class Page:
    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        self.settle()

    def __getitem__(self, name):
        return self.browser.find_element(By.ID, name)

    def until(self, what):
        return WebDriverWait(self.browser, 20, 0.02).until(lambda _: what())

    def settle(self):
        self.until(lambda: self["stage"].get_attribute("aria-busy") == "false")

    def set(self, name, value):
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.browser.execute_script(script, self[name], value)

    def pixel(self, canvas, x=0.25, y=0.25):
        """Return what a canvas shows at a place given in shares of its size."""
        script = """
            const [canvas, x, y] = arguments;
            const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
            return [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3)"""
        return self.browser.execute_script(script, self[canvas], x, y)

    def until_pixel(self, canvas, level):
        self.until(lambda: abs(self.pixel(canvas)[0] - level) <= 2)

    @property
    def command(self):
        return shlex.split(self["command"].text)

    def split(self):
        return float(self["divider"].get_attribute("aria-valuenow"))

    def keys(self, *keys):
        ActionChains(self.browser, duration=0).send_keys(*keys).perform()

    def focused(self):
        return self.browser.switch_to.active_element.get_attribute("id")


def test_a_moved_slider_changes_the_picture_and_the_command(page, folder):
    assert page.command == ["imgbatch-client", str(folder), f"{folder}-adjusted"]
    page.until_pixel("after", GREY)
    page.set("brightness", 30)
    page.until_pixel("after", GREY + 30)
    assert abs(page.pixel("before")[0] - GREY) <= 2
    assert page.command[3:] == ["--brightness", "30"]
    assert page["brightness-number"].get_attribute("value") == "30"


def test_the_keyboard_alone_moves_a_slider(page):
    page["contrast"].send_keys(Keys.ARROW_LEFT * 10)
    expected = int(adjust(np.full((1, 1, 3), GREY, np.uint8), contrast=-10)[0, 0, 0])
    page.until_pixel("after", expected)
    assert page.command[3:] == ["--contrast", "-10"]


def test_a_number_can_be_typed_and_stays_in_its_range(page):
    number = page["sharpness-number"]
    number.clear()
    number.send_keys("400")
    assert page.command[3:] == ["--sharpness", "100"]
    page["reset"].send_keys(Keys.TAB)
    number.send_keys(Keys.TAB)
    assert number.get_attribute("value") == "100"


def test_reset_takes_all_back(page):
    page.set("brightness", -20)
    page.until_pixel("after", GREY - 20)
    page["reset"].click()
    page.until_pixel("after", GREY)
    assert len(page.command) == 3
    assert not page["reset"].is_enabled()


def test_a_preset_sets_all_three_factors(page):
    preset = page["presets"].find_element(By.XPATH, "button[.='bright']")
    preset.click()
    assert preset.get_attribute("aria-pressed") == "true"
    assert page.command[3:] == ["--brightness", "12", "--contrast", "8"]
    page.set("brightness", 13)
    assert preset.get_attribute("aria-pressed") == "false"


def test_the_divider_follows_the_mouse(page):
    assert page.split() == 50
    stage = page["stage"]
    mouse = ActionChains(page.browser, duration=0)
    mouse.move_to_element(page["divider"]).click_and_hold().move_by_offset(200, 0)
    mouse.release().perform()
    box = stage.size["width"]
    picture = min(900, box - 32)
    assert page.split() == pytest.approx(50 + 100 * 200 / picture, abs=1)
    clip = page["layer-before"].value_of_css_property("clip-path")
    divider = page["divider"].location["x"] + page["divider"].size["width"] / 2
    shown = re.fullmatch(r"inset\(0px calc\(100% - (.+)px\) 0px 0px\)", clip)
    assert float(shown[1]) == pytest.approx(divider, abs=1)


def test_the_divider_follows_a_finger(page):
    place = page["stage"].rect
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2

    def touch(kind, points):
        page.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": points}
        )

    touch("touchStart", [{"x": x, "y": y}])
    touch("touchMove", [{"x": x - 150, "y": y}])
    touch("touchEnd", [])
    page.until(lambda: page.split() < 40)


def test_the_divider_follows_the_keyboard(page):
    divider = page["divider"]
    divider.send_keys(Keys.ARROW_RIGHT * 3)
    assert page.split() == 56
    divider.send_keys(Keys.HOME)
    assert page.split() == 0
    divider.send_keys(Keys.END)
    assert page.split() == 100
    assert "100 %" in divider.get_attribute("aria-valuetext")


def test_next_and_previous_go_through_the_folder(page):
    assert page["name"].text == "1 grey.png"
    assert page["position"].text == "1 of 5"
    assert not page["previous"].is_enabled()
    page["next"].click()
    page.settle()
    assert page["name"].text == "2 noise.png"
    assert page["facts"].text == "2100 × 1500"  # noqa: RUF001
    page.browser.execute_script("document.activeElement.blur()")
    page.keys(Keys.ARROW_RIGHT)
    page.settle()
    assert page["status"].get_attribute("textContent") == "3 turned.jpg, 3 of 5"
    page.keys(Keys.ARROW_LEFT)
    page.settle()
    assert page["name"].text == "2 noise.png"


def test_the_factors_stay_from_photograph_to_photograph_and_over_a_reload(page):
    page.set("brightness", 25)
    page["next"].click()
    page.settle()
    page.browser.refresh()
    page.settle()
    assert page["name"].text == "2 noise.png"
    assert page.command[3:] == ["--brightness", "25"]


def test_a_picture_that_is_ready_after_its_photograph_was_left_is_dropped(page):
    page.browser.execute_script("""
        const unpack = window.createImageBitmap;
        const held = new Promise((resolve) => { window.letGo = resolve; });
        window.createImageBitmap = async (blob) => {
          window.held = true;
          await held;
          return unpack(blob);
        }""")
    page.set("brightness", 25)
    page.until(lambda: page.browser.execute_script("return window.held"))
    page["next"].click()
    page.browser.execute_script("window.letGo()")
    page.settle()
    assert page["name"].text == "2 noise.png"
    shown = page["after"].size
    assert shown["width"] == pytest.approx(shown["height"] * 2100 / 1500, abs=2)
    drawn = page.browser.execute_script(
        "const {width, height} = arguments[0]; return width / height", page["after"]
    )
    assert drawn == pytest.approx(2100 / 1500, abs=0.01)


def test_a_photograph_on_its_side_is_shown_upright(page):
    page["next"].click()
    page["next"].click()
    page.settle()
    page.until(lambda: page["facts"].text == "400 × 600")  # noqa: RUF001
    size = page["after"].size
    assert size["height"] == pytest.approx(1.5 * size["width"], abs=2)


def test_a_damaged_file_says_so_and_the_others_can_still_be_seen(page):
    for _ in range(4):
        page["next"].click()
    page.until(page["problem"].is_displayed)
    assert "5 damaged.jpg" in page["problem"].text
    page["previous"].click()
    page.settle()
    page.until(lambda: not page["problem"].is_displayed())
    complaints = [entry["message"] for entry in page.browser.get_log("browser")]
    assert all("422" in complaint for complaint in complaints)


def test_100_percent_shows_the_pixels_of_the_output(page, folder):
    page["next"].click()
    page.settle()
    page.set("sharpness", 60)
    page["zoom-full"].click()
    page.until(page["after-detail"].is_displayed)
    assert page["zoom-full"].get_attribute("aria-pressed") == "true"
    expected = adjust(np.asarray(Image.open(folder / "2 noise.png")), sharpness=60)
    assert_detail_equals(page, expected)


def test_at_100_percent_the_photograph_is_dragged(page, folder):
    page["next"].click()
    page.settle()
    page["zoom-full"].click()
    page.until(page["after-detail"].is_displayed)
    before = page["after"].location
    place = page["stage"].size
    mouse = ActionChains(page.browser, duration=0)
    mouse.move_to_element_with_offset(page["stage"], place["width"] // 4, 50).click_and_hold()
    mouse.move_by_offset(-180, -120).release().perform()
    moved = page["after"].location
    assert (moved["x"] - before["x"], moved["y"] - before["y"]) == (-180, -120)
    assert page.split() == 50
    assert_detail_equals(page, np.asarray(Image.open(folder / "2 noise.png")))
    page.browser.execute_script("document.activeElement.blur()")
    page.keys(Keys.ESCAPE)
    assert page["zoom-fit"].get_attribute("aria-pressed") == "true"


def assert_detail_equals(page, expected):
    """Compare the detail on the stage with the part of `expected` that it should cover."""
    script = """
        const canvas = document.getElementById("after-detail");
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const places = [];
        for (let y = 5; y < canvas.height; y += 97)
          for (let x = 5; x < canvas.width; x += 89) {
            const at = 4 * (y * canvas.width + x);
            places.push([x, y, ...data.slice(at, at + 3)]);
          }
        return [parseFloat(canvas.style.left), parseFloat(canvas.style.top), places]"""

    def difference():
        left, top, places = page.browser.execute_script(script)
        rows = np.array(places)
        there = expected[rows[:, 1] + int(top), rows[:, 0] + int(left)]
        return np.abs(rows[:, 2:] - there.astype(int)).mean()

    # Noise after JPEG differs by a few levels; a part one pixel aside differs by twenty.
    page.until(lambda: difference() < 8)


def test_the_histogram_follows_the_picture(page):
    page.until(lambda: page["histogram-after"].get_attribute("d"))
    before = page["histogram-before"].get_attribute("d")
    after = page["histogram-after"].get_attribute("d")
    page.set("brightness", -100)
    page.until(lambda: page["histogram-after"].get_attribute("d") != after)
    assert page["histogram-before"].get_attribute("d") == before
    assert page["clipped"].text == "Without detail: 100 % black"


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    page.browser.execute_script("document.activeElement.blur()")
    reached = []
    for _ in range(30):
        page.keys(Keys.TAB)
        element = page.browser.switch_to.active_element
        if element.tag_name == "body":
            break
        assert element.accessible_name, element.get_attribute("outerHTML")
        style = element.value_of_css_property("outline-style")
        assert style != "none" or element.get_attribute("id") == "divider"
        reached.append(element.get_attribute("id"))
    for name in ("next", "divider", "brightness", "contrast", "sharpness", "zoom-full", "copy"):
        assert name in reached
    assert page["divider"].aria_role == "slider"


def test_the_command_is_copied(page):
    page.browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    page.set("brightness", 5)
    page["copy"].click()
    page.until(lambda: page["copy"].text == "Copied")
    copied = page.browser.execute_async_script(
        "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))"
    )
    assert copied == page["command"].text


@pytest.mark.parametrize("size", [(360, 740), (740, 360), (768, 1000), (1200, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("photo", [1, 4])
def test_nothing_is_cut_off_in_any_window(page, show_page, size, scheme, photo):
    width, height = size
    for _ in range(photo - 1):
        page["next"].click()
    show_page(page.browser, width, height, prefers_color_scheme=scheme)
    page.settle()
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= width
    for name in ("brightness", "stage", "command", "copy", "previous"):
        rect = page[name].rect
        assert rect["x"] >= 0
        assert rect["x"] + rect["width"] <= width
        assert rect["y"] + rect["height"] <= height
    assert page["stage"].rect["height"] > 200
    light = page.browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
    )
    assert (int(light) > 128) == (scheme == "light")


def test_nothing_leaves_the_machine(page, requests_of):
    page.set("brightness", 5)
    page["next"].click()
    page.settle()
    asked = requests_of(page.browser)
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "blob:"))] == []
