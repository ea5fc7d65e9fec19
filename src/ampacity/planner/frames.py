"""A plan as polars frames with units in their column names, and as Parquet files that say where they are from."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from ampacity.base.files import write_whole
from ampacity.planner.plan import Plan
from ampacity.supply.waterfall import STAGES


def limits_frame(p: Plan) -> pl.DataFrame:
    """One row a tier and window."""
    return pl.DataFrame(
        [
            {
                "tier": w.tier,
                "model": w.model,
                "window": w.window,
                "length_h": w.length_s / 3600,
                "tokens": w.tokens.value,
                "tokens_low": w.tokens.low,
                "tokens_high": w.tokens.high,
                "tokens_guaranteed": w.guaranteed,
                "stated": w.stated,
                "binding": w.binding,
                "binding_share_of_worlds": w.binding_share,
                "people_hit_share_per_week": w.people_hit_share.value if w.people_hit_share else None,
                "unserved_share": w.unserved_share.value,
            }
            for w in p.windows
        ]
    )


def waterfall_frame(p: Plan) -> pl.DataFrame:
    """One row a pool and hour, a column a stage, in whole accelerator-milliseconds."""
    frames = []
    for booking in p.central.bookings:
        columns = {f"{stage}_accelerator_ms": booking.amounts[i] for i, stage in enumerate(STAGES)}
        frames.append(pl.DataFrame({"pool": booking.pool, "hour_utc": _hours(p), **columns}))
    return pl.concat(frames)


def hours_frame(p: Plan) -> pl.DataFrame:
    """One row a model and hour: accelerators running, wanted without limits, served under them; tokens served."""
    frames = []
    for load in p.central.models:
        own = [t for t in p.central.tiers if any(t.tier == tier.name for tier in load.tiers)]
        total = {key: sum((getattr(t, key) for t in own), np.zeros(p.central.hours.count)) for key in _SERIES}
        frames.append(
            pl.DataFrame(
                {
                    "model": load.model,
                    "hour_utc": _hours(p),
                    "running_accelerators": load.capacity,
                    "wanted_accelerators": total["wanted_s"] / 3600,
                    "served_accelerators": total["served_s"] / 3600,
                    "uncached_input_tokens": total["uncached_input"],
                    "cached_input_tokens": total["cached_input"],
                    "output_tokens": total["output"],
                }
            )
        )
    return pl.concat(frames)


def curves_frame(p: Plan) -> pl.DataFrame:
    """One row a tier, pool and hour: tokens by kind that the tier may take."""
    return pl.concat(
        pl.DataFrame(
            {
                "tier": c.tier,
                "pool": c.pool,
                "hour_utc": _hours(p),
                "uncached_input_tokens": c.uncached_input,
                "cached_input_tokens": c.cached_input,
                "output_tokens": c.output,
            }
        )
        for c in p.curves
    )


def save(p: Plan, folder: Path) -> list[Path]:
    """Write all frames as Parquet and the record as JSON into a folder; each file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {
        "limits": limits_frame(p),
        "waterfall": waterfall_frame(p),
        "hours": hours_frame(p),
        "curves": curves_frame(p),
    }
    written = []
    for name, frame in frames.items():
        path = folder / f"{name}.parquet"
        temporary = folder / f".{name}.parquet.part"
        frame.write_parquet(temporary, metadata={"ampacity": json.dumps(p.record.as_dict())})
        temporary.replace(path)
        written.append(path)
    record = folder / "record.json"
    write_whole(
        record, json.dumps({**p.record.as_dict(), "notes": p.notes, "movers": [asdict(m) for m in p.movers]}, indent=2)
    )
    return [*written, record]


_SERIES = ("wanted_s", "served_s", "uncached_input", "cached_input", "output")


def _hours(p: Plan) -> pl.Series:
    return pl.Series(p.central.hours.begins_s * 1000).cast(pl.Datetime("ms", "UTC"))
