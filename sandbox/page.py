"""Memory that two processes share: one adds lines, the other reads them when it is told to."""

from __future__ import annotations

import mmap

_BYTES = 1 << 20
_HEAD = 8


class Page:
    """Lines up to about a mebibyte. Made before the fork, so that both sides have it; what is added survives a kill."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)
        self._full = False

    def add(self, data: bytes) -> bool:
        """Append whole lines. False when they do not fit; from then on nothing does, so that lines keep their order."""
        begin = self._length()
        end = begin + len(data)
        if self._full or end > _BYTES:
            self._full = True
            return False
        self._memory[begin:end] = data
        self._memory[:_HEAD] = end.to_bytes(_HEAD, "little")  # last: what is not whole is not there
        return True

    def clear(self) -> None:
        self._memory[:_HEAD] = _HEAD.to_bytes(_HEAD, "little")
        self._full = False

    def lines(self) -> list[bytes]:
        return self._memory[_HEAD : self._length()].splitlines()

    def close(self) -> None:
        self._memory.close()

    def _length(self) -> int:
        return int.from_bytes(self._memory[:_HEAD], "little") or _HEAD
