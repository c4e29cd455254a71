"""Tiny models on a shared machine: a spinning OpenMP team would wait ten times as long as it computes."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
