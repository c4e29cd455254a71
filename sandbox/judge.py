"""The judge's process: one job after the other, for as long as nothing of a program can have stayed in it."""

from __future__ import annotations

import builtins
import gc
import json
import os
import resource
import socket

from . import judging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .judging import Job

_JOBS = 500
_GROWTH_KB = 64 << 10
_MEMORY = 1 << 30


def serve(link: socket.socket, record: judging.Record) -> None:
    """Judge jobs until the runner is gone, or until a fresh process is the better choice for the next one.

    That is so when anything but plain data came from a program, when it ended in a way of its own, when this process
    has grown, or when tests left their mark on the builtins.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    gc.enable()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))  # an answer may grow when the tests look at it
    before, builtins_before = _peak_kb(), dict(vars(builtins))
    for count in range(1, _JOBS + 1):
        job, channel = _receive(link)
        peer = judging.peer_for(channel)
        record.begin()
        in_order = judging.judge(job, peer, record)
        channel.close()
        again = in_order and peer.plain and count < _JOBS
        again = again and _peak_kb() - before < _GROWTH_KB and vars(builtins) == builtins_before
        record.write(end=again)
        if not again:
            return


def _receive(link: socket.socket) -> tuple[Job, socket.socket]:
    """(job, channel) from the runner; ends this process when the runner is gone."""
    head, fds, _, _ = socket.recv_fds(link, 4, 1)
    if len(head) < 4 or not fds:
        os._exit(0)
    left, pieces = int.from_bytes(head, "big"), []
    while left:
        piece = link.recv(min(left, 1 << 20))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        left -= len(piece)
    return json.loads(b"".join(pieces)), socket.socket(fileno=fds[0])


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
