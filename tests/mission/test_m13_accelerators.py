"""M13: tokens per second on GPUs, TPUs and Trainium, with the error of the estimate."""

from __future__ import annotations

from typing import Any


def test_every_kind_of_accelerator_has_a_rate_with_an_interval(announced: Any) -> None:
    rates = {x["accelerator"]: x["output_low"] < x["output"] < x["output_high"] for x in announced["serving"]}
    assert rates == dict.fromkeys(("h100-sxm", "h200-sxm", "gb200-nvl72", "tpu-v7", "trainium2"), True)
