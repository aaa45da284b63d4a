import ctypes
import platform
import subprocess
import sys

import pytest

from imgbatch_kernels.image import Image, Word, is_image, place, unpack

on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="has instructions of x86")

# mov rax, <word>; mov byte [rsi], 42; ret: stores through the second pointer.
STORE = bytes.fromhex("c6062ac3")
# mov rax, <word>; mov rax, [rax]; mov [rsi], rax; ret: stores what a word points to.
COPY = bytes.fromhex("48b80000000000000000488b00488906c3")
# mov edx, 5; mov rdi, rsi; mov esi, 7; mov rax, <word>; jmp rax: fills 5 bytes with 7.
FILL = bytes.fromhex("ba050000004889f7be0700000048b80000000000000000ffe0")


def call(image: Image, cell: object) -> None:
    place(image)(None, ctypes.addressof(cell), None, None, None, None, None)  # type: ignore[arg-type]


@on_x86
def test_a_placed_image_can_be_called_at_its_entry():
    cell = ctypes.c_uint8(0)
    call(Image(bytes(16) + STORE, 16, ()), cell)
    assert cell.value == 42


@on_x86
def test_words_hold_addresses_in_the_image():
    constant = (0x1122334455667788).to_bytes(8, "little")
    cell = ctypes.c_uint64(0)
    call(Image(constant + COPY, 8, (Word(10, "", 0),)), cell)
    assert cell.value == 0x1122334455667788


@on_x86
def test_words_hold_addresses_of_the_c_library():
    cells = (ctypes.c_uint8 * 8)()
    call(Image(FILL, 0, (Word(15, "memset", 0),)), cells)
    assert bytes(cells) == bytes([7] * 5 + [0] * 3)


def test_a_packed_image_is_the_same_again():
    image = Image(b"code", 2, (Word(0, "", 3), Word(1, "memcpy", -1)))
    assert is_image(image.pack())
    assert unpack(image.pack()) == image
    assert unpack(Image(b"code", 0, ()).pack()) == Image(b"code", 0, ())
    assert unpack(Image(b"", 0, (Word(0, "", 3),)).pack()) == Image(b"", 0, (Word(0, "", 3),))


@on_x86
def test_a_process_may_end_while_a_thread_of_it_runs_an_image():
    code = (
        "import threading, time\n"
        "from imgbatch_kernels.image import Image, place\n"
        "endless = place(Image(bytes.fromhex('ebfe'), 0, ()))\n"
        "threading.Thread(target=endless, args=(None,) * 7, daemon=True).start()\n"
        "time.sleep(0.1)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_object_file_is_no_image():
    assert not is_image(b"\x7fELF\x02\x01")
