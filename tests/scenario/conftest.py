"""A file laid over the packaged laptop scenario: the shortest whole scenario there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def over_laptop(tmp_path: Path) -> Callable[[str], Path]:
    """Writes `text` over the laptop scenario and gives the file; its first line is line 2."""

    def write(text: str) -> Path:
        path = tmp_path / "ours.yaml"
        path.write_text(f"extends: laptop\n{text}", encoding="utf-8")
        return path

    return write
