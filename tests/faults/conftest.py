"""Faults of the gateway are tested with the helpers of `tests/gateway`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

from gateways import gateway, quick_looks, serve, upstream

__all__ = ["gateway", "quick_looks", "serve", "upstream"]
