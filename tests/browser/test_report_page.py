import json

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By

from imgbatch import Adjustment, run_batch


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    photos = folder / "photos"
    photos.mkdir()
    for number in range(5):
        Image.new("RGB", (400, 300), (40 * number, 90, 60)).save(photos / f"{number}.jpg")
    long_name = "A name that goes on and on " * 6 + ".jpg"
    (photos / long_name).write_bytes((photos / "1.jpg").read_bytes()[:-200])
    (photos / "text.txt").write_text("left alone")
    made = run_batch(photos, folder / "out", Adjustment(brightness=40), procs=1)
    return made.page


@pytest.fixture
def page(browser, report):
    browser.get(report.as_uri())
    return browser


FIRST_GREEN = """
    const context = document.createElement("canvas").getContext("2d");
    context.drawImage(arguments[0], 0, 0);
    return context.getImageData(9, 9, 1, 1).data[1]"""


def texts(page, selector):
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, selector)]


def test_the_failure_stands_above_all_sections_with_its_reason(page):
    assert texts(page, "h1") == ["5 photographs written 1 failed"]
    titles = texts(page, "h2")
    assert titles[0] == "Failed"
    assert titles.index("Settings") < titles.index("Before and after")
    reason = texts(page, ".failures .reasons li")[0]
    assert "A name that goes on" in reason
    assert len(reason.split(".jpg")[1]) > 20


def test_the_gallery_shows_each_photograph_before_and_after(page):
    pairs = page.find_elements(By.CSS_SELECTOR, ".pair")
    assert len(pairs) == 5
    for pair in pairs:
        page.execute_script("arguments[0].scrollIntoView()", pair)
        for image in pair.find_elements(By.TAG_NAME, "img"):
            page.execute_async_script("arguments[0].decode().then(arguments[1])", image)
            assert image.get_property("naturalWidth") == 400
    after, before = (
        page.execute_script(FIRST_GREEN, pairs[0].find_element(By.CLASS_NAME, side))
        for side in ("after", "before")
    )
    assert after - before == pytest.approx(40, abs=4)


def test_the_mouse_moves_the_divider_of_a_pair(page):
    pair = page.find_element(By.CSS_SELECTOR, ".pair")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", pair)
    width = pair.size["width"]
    mouse = ActionChains(page, duration=0)
    mouse.move_to_element(pair).move_by_offset(width // 4, 0).perform()
    split = page.execute_script("return arguments[0].style.getPropertyValue('--split')", pair)
    assert float(split.rstrip("%")) == pytest.approx(75, abs=2)


def test_the_keyboard_moves_the_divider_of_a_pair(page):
    slider = page.find_element(By.CSS_SELECTOR, ".pair input")
    assert slider.accessible_name == "Before and after, 0.jpg"
    slider.send_keys(Keys.ARROW_LEFT * 5)
    before = page.find_element(By.CSS_SELECTOR, ".pair .before")
    assert before.value_of_css_property("clip-path") == "inset(0px 55% 0px 0px)"


def test_a_photograph_opens_from_its_name(page):
    link = page.find_element(By.CSS_SELECTOR, "figcaption a")
    link.click()
    assert page.current_url.endswith("/out/0.jpg")


def test_files_left_alone_are_listed_on_request(page):
    details = page.find_element(By.TAG_NAME, "details")
    assert "text.txt" not in details.text
    details.find_element(By.TAG_NAME, "summary").click()
    assert "text.txt" in details.text


def test_the_charts_show_time_and_machines(page, report):
    assert page.find_elements(By.CSS_SELECTOR, "svg.columns rect")
    machine = json.loads(report.with_suffix(".json").read_text())["machines"][0]
    row = texts(page, ".machines tbody tr")[0]
    assert row.startswith(f"{machine['host']} 1 process")
    assert str(machine["images"]) in row


@pytest.mark.parametrize("width", [360, 768, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_at_any_width(page, show_page, width, scheme):
    show_page(page, width, 740, prefers_color_scheme=scheme)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    texts_and_grounds = page.execute_script(
        """const style = getComputedStyle(document.body);
        return [style.color, style.backgroundColor].map((colour) => +colour.match(/\\d+/)[0])"""
    )
    assert (texts_and_grounds[0] < texts_and_grounds[1]) == (scheme == "light")


def test_on_paper_before_and_after_stand_side_by_side(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    before, after = (
        page.find_element(By.CSS_SELECTOR, f".pair .{side}").rect for side in ("before", "after")
    )
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert before["x"] + before["width"] <= after["x"]
    assert before["y"] == after["y"]


def test_the_page_asks_for_nothing_but_itself(page, report, requests_of):
    asked = requests_of(page)
    assert report.as_uri() in asked
    assert [url for url in asked if not url.startswith((report.as_uri(), "data:image/"))] == []
