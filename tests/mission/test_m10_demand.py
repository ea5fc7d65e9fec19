"""M10: demand fitted to real coding-agent traces, and how long a limit holds while the number of people grows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

TRACE = "demand/claude_code/claude_code_requests.parquet"
ONE_WORLD = ("--set", "worlds=1")


def test_a_limit_follows_the_trace_that_one_command_fitted(
    ampacity: Callable[..., Any], answer: Callable[..., Any], shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """The same server carries less for each of the people whose sessions have the longer contexts."""
    requests = pl.read_parquet(shared(TRACE))
    context = pl.col("in_tokens").mean().over("session")
    requests.filter(context > requests.select(context.median()).item()).write_parquet(tmp_path / "heavy.parquet")
    assert ampacity("calibrate", "demand", "heavy.parquet", "--repetitions", "0").returncode == 0
    (tmp_path / "heavy.yaml").write_text(
        "scenario: heavy\nextends: laptop\ntiers: {developers: {behaviour: {like: heavy.demand.yaml}}}\n"
    )
    of_the_catalog, of_the_trace = (
        answer("run", name, *ONE_WORLD)["limits"]["developers"]["five-hour"]["value"]
        for name in ("laptop", "heavy.yaml")
    )
    assert 0 < of_the_trace < 0.9 * of_the_catalog


def test_the_verdict_says_until_when_it_holds_at_a_growth_per_month(announced: Any) -> None:
    verdict = announced["verdict"]
    (said,) = [s for s in verdict["sentences"] if "growth a month it holds" in s]
    latest = verdict["holds_until"]["high"]
    assert date.fromisoformat(latest) > date(2026, 5, 6)
    growth = 100 * verdict["growth_per_month"]["median"]
    assert said.startswith(f"At {growth:.1f} % ") and said.endswith(f"to {latest}).")
