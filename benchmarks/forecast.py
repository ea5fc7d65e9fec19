"""Forecast, then measure: five runs of a gateway before emulated pools, each forecast on disk before it begins.

A steady run; a limit that changes in its midst; a pool that is drained; a replica that dies; a slow pool that turns
requests away. Each is real: two processes that serve, sockets, streams, a journal. Held against each other are the
share of requests that are refused (within 10 %), the 99th percentile of the time to the first token (within 15 %), and
who met a refusal by their windows (at least 90 % of those in either are in both).

    python benchmarks/forecast.py [--smoke] [--runs NAME ...] [--seconds S] [--seed N] [--out FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from ampacity.emulation.faults import Fault
from ampacity.emulation.pools import ServingPool, serving_pools
from ampacity.forecast.beside import marks, rows_of, sentences
from ampacity.forecast.forecast_file import forecast_of
from ampacity.forecast.happenings import Happening, PoolFails, PoolGoes, TermsChange
from ampacity.forecast.learned import NOTHING_LEARNED, Learned, read_learned
from ampacity.forecast.live_run import live_run
from ampacity.forecast.load import Habits, Load, drawn_load
from ampacity.forecast.met import figures
from ampacity.forecast.plain_terms import plain_terms
from ampacity.policy.terms import Terms
from ampacity.scenario.load import load
from measure import parser, publish

SCENARIO = Path(__file__).with_name("forecast.yaml")
CALM: dict[str, Any] = {"pause_spread": 0.3, "input_spread": 0.4, "output_spread": 0.4}
PEOPLE = {
    "plain": (Habits(95, pause_s=6.0, **CALM), Habits(18, lines=3, pause_s=1.0, **CALM)),
    "more": (Habits(24, pause_s=4.0, **CALM), Habits(12, lines=4, pause_s=1.0, **CALM)),
}
"""Most are far from their limits, some ask all the time; few are in between, so names can be told beforehand."""
SECONDS, SMOKE_SECONDS = 110.0, 20.0
STEADY = "steady"
RUNS = (STEADY, "limit change", "pool drained", "replica killed", "slow, with 529s")


def happenings_of(run: str, terms: Terms, seconds: float) -> tuple[Happening, ...]:
    """What happens in a run: at a third of its time, or a little later."""
    at_ms = round(seconds * 1000 / 3)
    east, west = (pool.name for pool in terms.services[0].pools)
    if run == "limit change":
        limits = {name: tuple(replace(w, size=w.size * 3 // 4) for w in rules) for name, rules in terms.limits.items()}
        return (TermsChange(at_ms, replace(terms, limits=limits).text()),)
    if run == "pool drained":
        return (PoolGoes(at_ms, west, 3_000),)
    if run == "replica killed":
        return (PoolFails(at_ms, east, Fault("kill", seconds=seconds / 3)),)
    if run == "slow, with 529s":
        return (
            PoolFails(at_ms, east, Fault("slow", seconds=seconds / 3, factor=1.5)),
            PoolFails(at_ms, west, Fault("overloaded", seconds=seconds / 3, share=0.2)),
        )
    return ()


def one_run(
    run: str,
    terms: Terms,
    pools: dict[str, ServingPool],
    asked: Load,
    learned: Learned,
    seconds: float,
    seed: int,
    folder: Path,
) -> dict[str, Any]:
    """Forecast, write it down, run, compare."""
    folder.mkdir(parents=True)
    happenings = happenings_of(run, terms, seconds)
    began = time.process_time()
    foretold = forecast_of(terms, pools, asked, happenings, seed=seed, learned=learned)
    forecast_s = time.process_time() - began
    foretold.write(folder / "forecast.json")
    live = live_run(SCENARIO, (), terms, asked, happenings, folder)
    (folder / "met.json").write_bytes(msgspec.json.encode(live.met))
    measured = rows_of(live.journal)
    f, m, c = foretold.figures, figures(measured), figures(live.met)
    k = marks(f, m, len(asked.tier_of))
    print("\n".join(["", run, *(f"  {s}" for s in sentences(f, m, k))]), flush=True)
    return {
        "requests": [f.requests, m.requests],
        "refused share": [f.refused_share, m.refused_share, k.refusals],
        "refused share of draws": foretold.refused_between,
        "TTFT p50 ms": [f.ttft_ms[0], m.ttft_ms[0], c.ttft_ms[0]],
        "TTFT p99 ms": [f.ttft_ms[2], m.ttft_ms[2], c.ttft_ms[2], k.ttft_p99],
        "TTFT p99 ms of draws": foretold.ttft_p99_between,
        "token ms": [f.per_token_ms, m.per_token_ms, c.per_token_ms],
        "hit": [len(f.hit), len(m.hit), k.hit, k.same_people],
        "by window": [f.by_window, m.by_window],
        "marks met": k.met,
        "client refused share": c.refused_share,
        "forecast CPU s": forecast_s,
        "gateway CPU s": live.gateway_cpu_s,
        "pools CPU s": live.pools_cpu_s,
    }


def table(found: dict[str, dict[str, Any]]) -> str:
    """Forecast / measured, and how far apart."""
    lines = [
        "| run | requests | refused | | TTFT p50 [s] | TTFT p99 [s] | | hit by windows | in both | marks |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run, one in found.items():
        share, p99, hit = one["refused share"], one["TTFT p99 ms"], one["hit"]
        cells = [
            run,
            "{} / {}".format(*one["requests"]),
            f"{share[0]:.1%} / {share[1]:.1%}",
            f"{share[2]:+.1%}",
            _in_seconds(one["TTFT p50 ms"]),
            _in_seconds(p99),
            f"{p99[3]:+.1%}",
            f"{hit[0]} / {hit[1]}",
            f"{hit[2]:.0%}",
            "met" if one["marks met"] else "missed",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _in_seconds(both: list[float]) -> str:
    return f"{both[0] / 1000:.2f} / {both[1] / 1000:.2f}"


def main() -> None:
    """Forecast and measure what was asked for."""
    options = _options()
    seconds = SMOKE_SECONDS if options.smoke else options.seconds
    s = load(str(SCENARIO))
    pools = serving_pools(s)
    terms = plain_terms(s, pools)
    asked = drawn_load(terms.services[0].alias, PEOPLE, seconds, options.seed)
    learned = read_learned(options.learned) if options.learned else NOTHING_LEARNED
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        for run in options.runs:
            folder = out / run.replace(",", "").replace(" ", "-")
            by_name = {p.name: p for p in pools}
            found[run] = one_run(run, terms, by_name, asked, learned, seconds, options.seed, folder)
    print(f"\nforecast / measured, {seconds:.0f} s a run, seed {options.seed}\n\n{table(found)}\n")
    figures_flat = {f"{run}: {name}": value for run, one in found.items() for name, value in one.items()}
    publish("forecast, then measured", figures_flat, options.json)


def _options() -> argparse.Namespace:
    taken = parser(__doc__ or "")
    taken.formatter_class = argparse.RawDescriptionHelpFormatter
    taken.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), metavar="NAME", help="; ".join(RUNS))
    taken.add_argument("--seconds", type=float, default=SECONDS, help=f"of each run (default {SECONDS:.0f})")
    taken.add_argument("--seed", type=int, default=1)
    taken.add_argument("--out", type=Path, help="keep forecasts, journals and what clients met there")
    taken.add_argument("--learned", type=Path, help="what `ampacity calibrate forecast` wrote")
    options = taken.parse_args()
    if options.smoke:
        options.runs = [STEADY]
    return options


if __name__ == "__main__":
    main()
