"""Makes the worker importable as `sandbox`, from the checkout or from the installed package."""

from __future__ import annotations

import sys

from evalkit import assets

sys.path.insert(0, str(assets.folder("sandbox").parent))
