import io
from base64 import b64encode
from contextlib import ExitStack
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from imgbatch.adjustment import Adjustment
from imgbatch.batch.journal import Journal
from imgbatch.batch.journal_tables import Planned
from imgbatch.batch.model import Failure, MachineUse, Outcome, Status
from imgbatch.batch.page.view import MOST_LISTED, render, write_page
from imgbatch.batch.report import Report
from imgbatch.batch.scan import Found
from imgbatch.errors import Code
from imgbatch.recipe import Encoding, Recipe

PHOTOS = Path("/usr")  # whatever is there, it is a folder
ADA = (MachineUse("m1", "ada", 4),)


def a_file(number=0, status="written", name="", error=None, thumbnails=None, **outcome):
    """Return a file's name, when it was finished, and what became of it; for its thumbnails two."""
    name = name or f"{number:05}.jpg"
    codes = {"failed": Code.TRUNCATED_IMAGE, "skipped": Code.NOT_AN_IMAGE}
    failure = error or f"{PHOTOS}/{name}: it breaks off"
    return (
        name,
        0.1 * number,
        Outcome(
            number,
            Status(status),
            Failure(codes[status], failure) if status in codes else None,
            **{
                "seconds": 0.1,
                "machine": "m1",
                "width_pixels": 640,
                "height_pixels": 480,
                **outcome,
            },
            thumbnails=thumbnails,
        ),
    )


@pytest.fixture
def journal_of(tmp_path):
    """Return what makes a journal of files."""
    with ExitStack() as stack:

        def make(*files, machines=ADA):
            journal = Journal.create(tmp_path / "report.journal", {})
            stack.callback(journal.close)
            journal.note_machines(machines)
            journal.plan([Planned(Found(name, 1000), Path(name)) for name, *_ in files])
            rows = journal.open_files(-1, len(files))
            for row, (_, seconds, outcome) in zip(rows, files, strict=True):
                if outcome.status is not Status.NOT_DONE:
                    journal.finish(replace(outcome, index=row["id"]), seconds)
            return journal

        yield make


def run_of(journal, **fields):
    """Return the report of a run."""
    recipe = Recipe(Adjustment(10, -5), Encoding(quality=85))
    report = Report(
        Path("/out/imgbatch-report.json"), PHOTOS, Path("/out"), recipe, "local",
        "1.0.0", "2026-05-04T10:20:30+02:00", 12.5, False, None, journal.totals(),
    )  # fmt: skip
    return replace(report, **fields)


@pytest.fixture
def html_of(journal_of):
    """Return what makes the page of a run of files."""

    def make(*files, machines=ADA, **report):
        journal = journal_of(*files, machines=machines)
        return render(run_of(journal, **report), journal)

    return make


def jpeg(red, width=48, height=36):
    kept = io.BytesIO()
    Image.new("RGB", (width, height), (red, 99, 0)).save(kept, "JPEG")
    return kept.getvalue()


class Page(HTMLParser):
    """The text of a page, its tags, and whether they are closed in order."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts, self.addresses = [], [], [], []
        self.feed(html)
        assert self.open == []

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID and "/>" not in self.get_starttag_text()[-2:]:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def test_the_page_tells_the_run_in_figures(html_of):
    text = Page(html_of(*(a_file(number, bytes_out=900) for number in range(3)))).text
    assert "3 photographs written" in text
    assert "12 s" in text
    assert "3.00 kB → 2.70 kB" in text
    assert "−10 %" in text  # noqa: RUF001
    assert "ada 4 processes" in text


def test_the_page_tells_the_settings_that_matter(html_of):
    text = Page(html_of(a_file())).text
    assert "Brightness +10" in text
    assert "Contrast −5" in text  # noqa: RUF001
    assert "Quality 85" in text
    assert "this machine" in text
    assert "Strip metadata" not in text


def test_failures_come_before_all_else_with_their_reasons(html_of):
    page = Page(html_of(a_file(1), a_file(2, "failed", attempts=3)))
    text = page.text
    assert "1 photograph written 1 failed" in text
    assert "truncated image 1" in text
    assert "00002.jpg It breaks off tried 3 times" in text
    assert text.index("Failed") < text.index("Settings") < text.index("Throughput")


def test_a_run_without_failures_has_no_such_section(html_of):
    assert "Failed" not in Page(html_of(a_file())).text


def test_thousands_of_failures_are_counted_and_the_first_listed(html_of):
    files = [a_file(number, "failed") for number in range(1234)]
    text = Page(html_of(*files)).text
    assert "truncated image 1,234" in text
    assert text.count("It breaks off") == MOST_LISTED
    assert "00000.jpg" in text
    assert "and 1,034 more" in text


def test_an_interrupted_run_says_so(html_of):
    text = Page(html_of(a_file(1), a_file(2, "not-done"), interrupted=True)).text
    assert "1 not done" in text
    assert "Not done 1 00002.jpg" in text
    assert "interrupted" in text


def test_a_run_that_could_not_go_on_says_why(html_of):
    failure = Failure(Code.DISK_FULL, "/out is full; make room")
    assert "/out is full" in Page(html_of(a_file(), failure=failure)).text


def test_notes_and_skipped_files_come_last(html_of):
    both, one = ("exif-dropped", "icc-dropped"), ("exif-dropped",)
    files = [a_file(1, notes=both), a_file(2, notes=one), a_file(3, "skipped")]
    text = Page(html_of(*files)).text
    assert "exif dropped 2 icc dropped 1" in text
    assert "Left alone 1" in text
    assert text.index("Machines") < text.index("exif dropped")


def test_the_chart_has_a_column_for_each_step_in_which_images_ended(html_of):
    html = html_of(*(a_file(number) for number in (1, 2, 30)))
    assert html.count('<rect class="shade-0" x=') == 2
    assert "1 images/s at 0.1 s, ada" not in html
    assert "ada</title>" in html


def test_names_are_text_never_markup(html_of):
    evil = "<img src=x onerror=alert(1)>\"'&.jpg"
    pair = (jpeg(1), jpeg(2))
    files = a_file(1, name=evil, thumbnails=pair), a_file(2, "failed", name=f"2{evil}")
    page = Page(html_of(*files, machines=[MachineUse("m1", evil, 1)]))
    assert page.tags.count("img") == 2
    assert "x" not in page.addresses
    assert evil in page.text


def test_options_in_sentences_are_set_as_such(html_of):
    html = html_of(a_file(1, "failed", error="it ends; use --damaged salvage"))
    assert "It ends; use <code>--damaged</code> salvage" in html


def test_the_page_needs_nothing_from_elsewhere(html_of):
    html = html_of(a_file(7, thumbnails=(jpeg(1), jpeg(2))))
    assert all(
        address.startswith("data:") or address == "00007.jpg" for address in Page(html).addresses
    )
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert "url(" not in html


def test_the_gallery_shows_before_and_after_and_loads_late(html_of):
    before, after = jpeg(1), jpeg(2)
    html = html_of(a_file(7, thumbnails=(before, after)))
    assert html.count('loading="lazy"') == 2
    assert html.count('width="48" height="36"') == 2
    assert f'base64,{b64encode(before).decode()}" alt="00007.jpg, before"' in html
    assert f'base64,{b64encode(after).decode()}" alt="00007.jpg, after"' in html
    assert 'aria-label="Before and after, 00007.jpg"' in html


def test_a_sample_says_of_how_many(html_of):
    files = [a_file(number) for number in range(1499)]
    html = html_of(*files, a_file(1499, thumbnails=(jpeg(1), jpeg(2))))
    assert "1 of 1,500." in Page(html).text


def test_a_picture_leads_to_the_photograph_whatever_its_name_and_wherever_the_page_lies(html_of):
    file = a_file(1, name="caf\udce9 1.jpg", thumbnails=(jpeg(1), jpeg(2)))
    html = html_of(file, path=Path("/reports/imgbatch-report.json"))
    assert 'href="../out/caf%E9%201.jpg"' in html


@pytest.mark.parametrize(
    "report",
    [{"seconds": 0.0}, {"engine": "rabbitmq"}, {"seconds": 0.0, "machines": ()}],
)
@pytest.mark.parametrize("files", [(), (a_file(),)])
def test_runs_of_next_to_nothing_have_a_page(html_of, files, report):
    assert Page(html_of(*files, **report)).text


def test_the_page_is_written_beside_the_report(journal_of, tmp_path):
    journal = journal_of(a_file())
    written = write_page(run_of(journal, path=tmp_path / "imgbatch-report.json"), journal)
    assert written.page == tmp_path / "imgbatch-report.html"
    assert "1 photograph written" in Page(written.page.read_text()).text
    assert not list(tmp_path.glob(".*"))


def test_a_page_of_many_files_stays_small(html_of):
    files = (a_file(number, "failed" if number % 3 else "written") for number in range(5000))
    assert len(html_of(*files)) < 200_000


def test_a_page_that_cannot_be_written_says_so(journal_of, tmp_path):
    journal = journal_of(a_file())
    written = write_page(run_of(journal, path=tmp_path / "gone/imgbatch-report.json"), journal)
    assert written.page is None
    assert "gone/imgbatch-report.html can't be written" in written.page_failure.sentence
