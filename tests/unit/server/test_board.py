"""What a worker writes in one process is what its supervisor reads in another."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

from imgbatch.server.board import Board, Held

CONTEXT = multiprocessing.get_context("spawn")


def work(board: Board) -> None:
    board.begin("a batch", 1)
    board.end(0.25)
    board.begin("a batch", 2)
    board.end(0.5)
    board.begin("b" * 1000, 2**40)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_new_board_is_empty() -> None:
    board = Board(CONTEXT)
    assert (board.held, board.images, board.busy_seconds) == (None, 0, 0.0)


def test_what_a_dead_process_held_and_had_done_can_be_read() -> None:
    board = Board(CONTEXT)
    before = time.monotonic()
    process = CONTEXT.Process(target=work, args=(board,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert (board.images, board.busy_seconds) == (2, 0.75)
    assert isinstance(board.held, Held)
    assert (board.held.batch, board.held.job) == ("b" * 256, 2**40)
    assert before < board.held.since_seconds < time.monotonic()


def test_an_image_that_is_done_is_no_longer_held() -> None:
    board = Board(CONTEXT)
    board.begin("batch", 7)
    assert board.held is not None
    board.end(0.1)
    assert board.held is None
