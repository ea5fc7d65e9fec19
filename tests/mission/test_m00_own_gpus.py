"""The first user's question: what can each of fifty people have of these eight GPUs?"""

from __future__ import annotations

from typing import Any


def test_one_command_says_what_each_person_can_have_of_eight_gpus(laptop_run: Any) -> None:
    five_hour = laptop_run.found["limits"]["developers"]["five-hour"]
    assert 0 < five_hour["low"] <= five_hour["value"] <= five_hour["high"]
