"""What a forked process gets from its parent for nothing, and would otherwise fetch page by page."""

from __future__ import annotations

import os

_WORDS = 6
_HOT = ("python", "libpython", "libc.so", "libc-", "ld-musl")


def page_tables() -> None:
    """Have the kernel copy the page tables of the interpreter's code and constants at each fork.

    It does so only for mappings of which a page was written, and lets every child find the other pages again, one fault
    for sixteen of them: a seventh of all faults of a program. So one byte of each is written as it is, through
    /proc/self/mem, which may write where the process itself may not. A kernel that forbids this costs only speed. Other
    libraries are left out: programs touch little of them, and each page that is copied has its price too.
    """
    try:
        mappings = _constant_mappings()
        memory = os.open("/proc/self/mem", os.O_RDWR)
    except OSError:
        return
    try:
        for begin in mappings:
            try:
                os.pwrite(memory, os.pread(memory, 1, begin), begin)
            except OSError:
                continue
    finally:
        os.close(memory)


def _constant_mappings() -> list[int]:
    """Where the private mappings of the interpreter and the C library begin that cannot be written."""
    found = []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            words = line.split(None, _WORDS - 1)
            if len(words) < _WORDS or not os.path.basename(words[5]).startswith(_HOT):
                continue
            if words[1][1] == "-" and words[1][3] == "p":
                found.append(int(words[0].partition("-")[0], 16))
    return found
