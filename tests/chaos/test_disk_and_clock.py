"""A disk that is full at the client, and a clock that jumps."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.brokers import Place
from tests.support.oracle import FACTORS, check, check_no_temporary_file
from tests.support.programs import Programs, let_pass
from tests.support.slow_photos import large, slow

pytestmark = [pytest.mark.broker, pytest.mark.chaos]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system in memory for as long as the block lasts."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_ends_the_run_and_resume_goes_on_when_there_is_room(
    place: Place, programs: Programs, tmp_path: Path
) -> None:
    """Time lost: the images in flight, done again by --resume."""
    large(tmp_path / "in", 24)
    server = programs.server(place.url, procs=2, fragile=True)
    with small_disk(tmp_path / "disk", "12m") as disk:
        words = (*FACTORS, "--report", tmp_path / "report.json")
        client = programs.client(tmp_path / "in", disk / "out", *words, broker=place.url)
        assert client.wait() == 3, client.said()
        assert "no space left on device" in client.said()
        assert "--resume" in client.said()
        assert "Traceback" not in client.said()
        check_no_temporary_file(disk)
        assert 0 < len(client.written()) < 24
        assert server.is_alive
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        again = programs.client(tmp_path / "in", disk / "out", *words, "--resume", broker=place.url)
        assert again.wait() == 0, again.said()
        shutil.copy(tmp_path / "report.json", disk / "out" / "imgbatch-report.json")
        check(again)


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK_OFFSET_FILE"), "r");
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += offset();
    return result;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict where, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    where->tv_sec = now.tv_sec;
    where->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


@pytest.fixture
def clock(tmp_path: Path) -> tuple[dict[str, str], Path]:
    """What puts a program under a clock that follows a file, and that file."""
    if shutil.which("gcc") is None or ctypes.util.find_library("c") is None:
        pytest.skip("a C compiler is needed to put a false clock under the programs: gcc")
    source, library, offset = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "offset"
    source.write_text(CLOCK)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    offset.write_text("0")
    return {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset)}, offset


def test_a_clock_that_jumps_by_hours_disturbs_no_timer(
    place: Place, programs: Programs, tmp_path: Path, clock
) -> None:
    """Nothing is lost: every timer reads the monotonic clock."""
    env, offset = clock
    shown = subprocess.run(
        ["date", "+%s"], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    offset.write_text("3600")
    later = subprocess.run(
        ["date", "+%s"], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    assert int(later.stdout) - int(shown.stdout) >= 3600, "the false clock works"
    slow(tmp_path / "in", 60, 100)
    server = programs.server(place.url, "--image-timeout", 30, fragile=True, env=env)
    client = programs.client(
        tmp_path / "in", tmp_path / "out", *FACTORS, "--timeout", 60, broker=place.url, env=env
    )
    for done, seconds in ((5, -7200), (15, 86_400), (25, 0)):
        client.wait_for_results(done)
        offset.write_text(str(seconds))
        let_pass(1)
    assert client.wait() == 0, client.said()
    report = check(client)
    assert report["seconds"] < 600
    assert {entry["attempts"] for entry in report["files"]} == {1}
    assert server.is_alive
    assert "was killed" not in server.said()
    assert "lost" not in server.said()
