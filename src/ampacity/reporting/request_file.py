"""Every request of a run as a Parquet file that says where it is from."""

from __future__ import annotations

import io
import json
from pathlib import Path

from ampacity.base.files import write_whole
from ampacity.reporting.simulated import Simulated


def write_requests(r: Simulated, path: Path) -> None:
    """Write one row a request, whole or not at all. Raises OSError."""
    buffer = io.BytesIO()
    metadata = {"ampacity": json.dumps(r.record.as_dict())}
    r.requests().write_parquet(buffer, compression="zstd", metadata=metadata)
    write_whole(path, buffer.getvalue())
