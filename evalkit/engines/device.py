"""Which device and number format a model runs in, decided without importing torch."""

from __future__ import annotations

import math
import os
from pathlib import Path

from msgspec import Struct

from evalkit.core.errors import SpecError
from evalkit.core.types import Model
from evalkit.fetch.interpreters import installed

_DTYPES = ("float32", "bfloat16", "float16")
_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")
_GIB = 1 << 30
_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class Placement(Struct, frozen=True):
    """A device as torch names it (`cpu`, `cuda`, `cuda:1`, `mps`) and a dtype as torch names it."""

    device: str
    dtype: str

    @property
    def kind(self) -> str:
        """The device without its number: which of two equal GPUs answered decides nothing."""
        return self.device.partition(":")[0]


def resolve(model: Model) -> Placement:
    """What `auto` means on this machine.

    CUDA where a driver is visible and the installed torch was built for it, else CPU; bfloat16 on CUDA, float32
    elsewhere: most CPUs compute bfloat16 many times slower, so it is never chosen for them.
    """
    device = ("cuda" if cuda_visible(model.python) else "cpu") if model.device == "auto" else model.device
    if device.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise SpecError(f"unknown device '{device}'", hint="known: auto, cpu, cuda, cuda:N, mps")
    dtype = ("bfloat16" if device.startswith("cuda") else "float32") if model.dtype == "auto" else model.dtype
    if dtype not in _DTYPES:
        raise SpecError(f"unknown dtype '{dtype}'", hint=f"known: auto, {', '.join(_DTYPES)}")
    return Placement(device, dtype)


def cuda_visible(python: str | None = None) -> bool:
    """Whether CUDA can be expected to work: a driver is there, nobody hid it, and torch, of the interpreter `python`
    where that is not this one, is no CPU build."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return not hidden and not _torch_build(python).endswith("+cpu") and any(map(os.path.exists, _DRIVERS))


def _torch_build(python: str | None) -> str:
    return installed(python, "torch") or ""  # a plan before the installation: `open` asks for torch


def usable_cores() -> int:
    """Cores this process may use: its affinity, and a container's CPU quota where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_QUOTA.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, math.ceil(int(quota) / int(period))))


def available_bytes() -> int:
    """Memory that can be had without swapping, as the system estimates it; 4 GiB where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 4 * _GIB
