"""The words of docs/benchmarks.md. Numbers come from the results file."""

from __future__ import annotations

from textwrap import fill

from bench.harness.results import Results
from bench.model import Costs
from bench.plots import figure
from bench.questions import Answer, Kind

HEADER = """<!-- Drawn by `make bench` from bench/results/reference.json; not to be edited. -->

# Benchmarks

"""

_TAKEAWAYS = {
    "RabbitMQ engine against the paper's system, Tokyo (an image)": (
        "Through RabbitMQ, large photographs are done **{} times as fast** as by the paper's "
        "system, rebuilt as fast as its design allows, on the same cores and broker."
    ),
    "RabbitMQ engine against the paper's system, Crops": ("Small ones **{} times as fast**."),
    "Local engine against an OpenCV pool, Tokyo": (
        "On one machine imgbatch is **{} times as fast** as a pool of OpenCV processes, the "
        "fastest thing that one would write oneself,"
    ),
    "Local engine, of decoding and encoding alone, Tokyo": (
        "and reaches **{} %** of what decoding and encoding alone would allow."
    ),
    "Two machines instead of one, Tokyo (the paper: 19.91 %)": (
        "A second machine saves **{} %** of the time on large photographs; in the paper it "
        "saved 19.91 %."
    ),
    "RabbitMQ engine, of the local engine, Tokyo": (
        "The way through RabbitMQ costs little: on the same cores it reaches **{} %** of the "
        "local engine's throughput."
    ),
}

QUESTIONS = """\
Each row is a median of ratios that were taken in turn (A B A B …) within one session; its spread
is the quartiles of these ratios (of fewer than four, their extremes). *Floor* is the least we
accept, *aim* what we hope for; rows that miss stay in. Without either, a row is there to be read.
"""

_REASONS = {
    "Local engine against an OpenCV pool, Crops": """\
nearly all of the work is libjpeg-turbo's, which both use alike. What is left to differ is the
adjustment (5 % of the time) and the start of fresh processes: a pool forks, imgbatch does not,
since neither OpenCV nor Numba survives it. The pool also writes 4:2:0 whatever its source has.""",
    "Local engine, of decoding and encoding alone, Tokyo": """\
the bare codec is spared the adjustment, the adjusted picture's larger file (a third more bytes to
encode), and the start of fresh processes.""",
    "Local engine, of decoding and encoding alone, Crops": """\
the bare codec is spared the adjustment, the adjusted picture's larger file (a third more bytes to
encode), the start of fresh processes, and the journal.""",
    "Local engine against an OpenCV pool, Tokyo as PNG": """\
five images for two processes: the largest takes two thirds of the run, and deflating it, even by
isal, two fifths of that.""",
    "Local engine against an OpenCV pool, Crops as PNG": """\
whole processes on few and small images; a good part of the time is their start.""",
    "RabbitMQ engine against Celery on the same broker, Tokyo": """\
Celery carries the same bytes and calls the same function, so the images' own work, three quarters
of all CPU time, is common to both. Were all the rest free, imgbatch would be 1.5 times as fast.""",
    "RabbitMQ engine against Celery on the same broker, Crops": """\
as for Tokyo, with half of all CPU time. Were all the rest free, imgbatch would be 2.4 times as
fast.""",
    "RabbitMQ engine, of the local engine, Tokyo": """\
broker, client and server share the two cores that the local engine has for itself.""",
    "RabbitMQ engine, of the local engine, Crops": """\
with broker, client and server on the same two cores, an image's way costs nearly as much CPU time
as its computation. On machines of their own the three would not share cores.""",
    "RabbitMQ engine against the paper's system, Tokyo (an image)": """\
the paper's system is rebuilt as fast as its design allows. What it loses is one process that packs
and unpacks 16 bytes for each of a file's; the rest of it is OpenCV at full speed.""",
    "RabbitMQ engine against the paper's system, Crops": """\
as for Tokyo.""",
    "Local engine against ImageMagick told the same arithmetic, Tokyo": """\
told exactly our arithmetic it is three times as fast as with the options that are mostly typed,
which have the next row.""",
    "A photograph in frames against JSON, base64 and pickle: bytes": """\
pixels against the file's own bytes, times 4/3 for base64: the compression of a photograph decides,
and 40 would ask for smaller files than photographs of this quality are.""",
}
"""What stands in the way of a floor, by its question's text, as far as it was found out."""

LOCAL = """\
Whole processes, from the shell's point of view: start, read, decode, adjust, encode, write, end.
Everyone uses all cores and writes JPEGs of quality 90. *codec floor* decodes and encodes with
imgbatch's own codec and kept buffers and does nothing in between. *imgbatch with page* also makes
the report's page with its gallery of thumbnails, as it does by default; nobody else has one, so
comparisons are made without. Nobody but imgbatch keeps metadata; Pillow's three enhancers are not
quite the same arithmetic. *imagemagick* and *graphicsmagick* are told exactly our arithmetic,
which happens to be much faster than what is mostly typed (*imagemagick everyday*).
"""

BROKER = """\
Clients are timed as whole processes; servers and workers wait, warm, each contender with its own,
on one private RabbitMQ node. *imgbatch local* is the local engine in the same turns; *bare pika*
sends the same bytes to a process that sends them back, and does nothing to them. *celery* carries
the encoded bytes as they are and calls `imgbatch`'s pipeline, so it shares the codecs and the
kernel. *paper* takes no file over 5 MB: its times are per image for the 49 of 55 that it takes.
*paper, wide receive* is the same with the receive buffer that imgbatch gives to pika.
"""

SCALING = """\
Eight machines of 0.15 core leave the rest of this box to broker and client, so the curve shows
the protocol, not the box. The dashed line is a model on paper: a run takes as long as its busiest
party, `max(price × server / (machines × share), price × largest / share, broker, client)`, with the
CPU seconds that each party was measured to spend, those of the largest image, which one machine
computes alone, and one constant fitted to the single machine: what the work costs a machine that
its quota stops many times a second, of what it costs a whole one. It knows nothing of the three
images, or bundles of small ones, that a worker holds and nobody else can take: eight machines hold
24 of the 55 in Tokyo, the largest, from the start, and end unevenly (`--prefetch 2` helps there).
"""

SUITES = """Timed by pytest-benchmark inside one process."""


def reasons(found: list[Answer]) -> str:
    """Return what stands in the way of each floor that is missed."""
    lines = [
        fill(
            f"- *{answer.question.text}*: {_REASONS[answer.question.text]}",
            width=100,
            subsequent_indent="  ",
        )
        for answer in found
        if answer.verdict == "missed" and answer.question.text in _REASONS
    ]
    heading = "What stands in the way where a floor is missed, as far as it was found out:\n"
    return "\n".join([heading, *lines]) if lines else ""


def opening(results: Results, found: list[Answer]) -> str:
    """Return the first lines: what a reader should take away."""
    by_text = {answer.question.text: answer for answer in found}
    sentences = []
    for text, words in _TAKEAWAYS.items():
        answer = by_text[text]
        if answer.found is None:
            continue
        is_percentage = answer.question.kind in (Kind.SHARE, Kind.SAVED)
        value = answer.found.median
        sentences.append(words.format(f"{100 * value:.0f}" if is_percentage else figure(value)))
    judged = [answer for answer in found if answer.question.floor is not None and answer.found]
    missed = [answer for answer in judged if answer.verdict == "missed"]
    sentences.append(
        f"Of {len(judged)} floors, {len(judged) - len(missed)} are passed."
        + "\n" * bool(missed)
        + "".join(f"\n- missed: {answer.question.text}" for answer in missed)
    )
    machine = results.machine
    where = (
        f"\n\nTaken on {results.taken}, {machine.get('cores')} cores of {machine.get('cpu')} "
        f"with {machine.get('memory_gb')} GB, {machine.get('system')}, on {results.photos}, "
        f"read from the system's cache and written to {machine.get('outputs_on', 'disk')}"
        + ("" if results.pace == "whole" else f"; a {results.pace} session")
        + ". On another machine the seconds will differ, and the ratios should not differ much."
    )
    return " ".join(sentences) + where


def tables(results: Results) -> str:
    """Return what is repeated, and how."""
    return (
        "The paper ran one and two machines on both sets, four times each, and reports that the "
        "second machine saved 19.91 % of the time on Tokyo and 15.55 % on Crops. Here a machine "
        f"is a server with 0.4 core, held by {results.machine.get('machines_held_by')}; broker "
        "and client have the rest of the box. *paper* is its system rebuilt; its servers take one "
        "message at a time, so that no machine waits while another has a queue. Machines are fresh "
        "for each run and ready before it; the client is timed. *Saved* is against one machine."
    )


def saturation(results: Results) -> str:
    """Return where one broker is full, from the costs of both sets."""
    lines = ["### Where one broker is full\n"]
    for set_name, title in (("tokyo", "Tokyo"), ("crops", "Crops")):
        costs = Costs.of(results, set_name)
        if costs is None:
            continue
        bare = results.measures.get(f"costs/{set_name}/broker, bare")
        bare_words = f"; bare pika with the same bytes, {bare.value:.2f} s" if bare else ""
        narrow = "broker" if costs.broker >= costs.client else "client"
        lines.append(
            f"- **{title}**: {costs.images:.0f} images, {costs.size_bytes / 1e6:.0f} MB there "
            f"and about as much back. CPU time: servers {costs.server:.2f} s, broker "
            f"{costs.broker:.2f} s{bare_words}, client {costs.client:.2f} s. A broker that has "
            f"one core for this batch moves {figure(costs.images / costs.broker)} images/s, "
            f"{figure(costs.size_bytes / 1e6 / costs.broker)} MB/s each way; the client, "
            f"{figure(costs.images / costs.client)} images/s. The {narrow} is full first, at "
            f"{figure(costs.saturating_cores)} server cores like these."
        )
    return "\n".join([*lines, "", _REMEDIES])


_REMEDIES = """Beyond that, more machines gain nothing for one batch. In this order:

1. Several clients. Each batch has its own queues, and RabbitMQ runs each queue in an Erlang process
   of its own, so two batches use two of the broker's cores; split a folder with `--include`.
2. More brokers, each with its own fleet and its own share of the folders. imgbatch keeps no state
   on the broker that two would have to agree on.
3. A store that machines read by themselves (object storage, a shared file system), tickets that
   name the object, and results written there: then the broker moves tickets only, some thousand a
   second. imgbatch does not do this; its tickets and results are small frames beside the payload,
   so it is a change of where bytes come from, not of the protocol's shape.
"""


def method(results: Results) -> str:
    """Return how it was measured, and on what."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))
    return f"""## How it was measured

- `make bench` runs everything (about an hour on two cores) and draws this page from
  `bench/results/reference.json`. `make bench-compare` measures briefly and fails where a ratio has
  become clearly worse than that file's. `python -m bench.run --only local --photos DIR` runs a
  suite on your own photographs.
- The paper's sets are not public; these are stand-ins with their figures: **Tokyo**, 55 JPEGs from
  367 KB to 12.9 MB, 134.2 MB together, 49 of them up to 5 MB; **Crops**, 773 JPEGs from 2.9 KB to
  1.8 MB, 76.8 MB together. Each is made from a seed: octaves of noise with a 1/f spectrum, sharp
  edges of shapes that hide one another, a sensor's grain; qualities 70 to 97, 4:2:0, 4:2:2 and
  4:4:4; about 1.6 bits a pixel. The PNG sets hold a tenth of the pictures.
- Compared things run in turn, every second round backwards, as whole processes. A run counts only
  if it wrote every image. Files are in the page cache; outputs go to a fresh folder.
- The adjustment is brightness 10, contrast 20, sharpness 40 throughout.
- Load of the machine at the start: {results.machine.get("load_at_start")}.
- Versions: {versions}.
"""
