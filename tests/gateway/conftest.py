"""Makes the helpers of this folder importable by its tests, and their fixtures known."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gateways import gateway, quick_looks, serve, upstream

__all__ = ["gateway", "quick_looks", "serve", "upstream"]
