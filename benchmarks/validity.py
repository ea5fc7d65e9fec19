"""How far the engine is from real servers: held-back requests, load, mechanisms off, caches, published points.

(a) Logs of three vLLM 0.19 servers of 300 requests each (AMPACITY_DATA; left out without them): the step time is fitted
to what was known after 40 or 50 % of the run and foretells the rest. (b) Other ways to fit the same. (c) One mechanism
of the engine off at a time. (d) Errors by the number of requests in the server. (e) A fit carried to another run.
(f) Prefix hits under eviction, against an LRU list of single blocks, on traces of coding agents and on Mooncake's.
(g) Published points under load (aiconfigurator-core, if it is installed) through the engine, in a closed loop; and what
is carried within a bound on the time per token, from three measured points of a curve.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ampacity.demand.traces import mooncake
from ampacity.demand.traces.reuse import Cache, blocks_held
from ampacity.inference.coefficients import FIRST_UNITS_S, Coefficients, coefficients
from ampacity.inference.fit import protocol
from ampacity.inference.layout_text import layout_from
from ampacity.inference.own_fit import own_fit, shifted_costs
from ampacity.inference.own_loads import costs, loads
from ampacity.inference.published import Point, installed, points
from ampacity.inference.replica import Replica, replica, usual_kv
from ampacity.inference.results.measurement import USUAL_SHORTEST, Measurement
from ampacity.inference.work import PATHS
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.simulator.benchmark_load import serve_load
from ampacity.simulator.closed_loop import serve_closed_loop
from ampacity.simulator.engine import PS_PER_S, Engine
from ampacity.simulator.logged_run import (
    LoggedRun,
    Times,
    errors,
    median_errors,
    read_logged_run,
    replayed,
)
from ampacity.simulator.logged_run_fit import RunFit, catalog_costs, fit_run, table_of, with_fit_of
from ampacity.simulator.logged_server import read_logged_engine
from ampacity.simulator.step_table import TICKS, StepTable
from measure import arguments, publish

DATA = Path(os.environ.get("AMPACITY_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
RUNS = {
    "8B on RTX PRO 6000": ("rtxpro6000_llama-3.1-8b", "llama-3.1-8b", "rtx-pro-6000"),
    "32B on 2 RTX PRO 6000": ("rtxpro6000_qwen3-32b", "qwen3-32b", "rtx-pro-6000"),
    "8B on RTX 4090": ("rtx4090_llama-3.1-8b", "llama-3.1-8b", "rtx-4090"),
}
KNOWN = 0.4
Logged = tuple[LoggedRun, Replica, Engine]


def logged(name: str) -> Logged:
    """A run, the replica and the rules of its engine."""
    folder, model, card = RUNS[name]
    server = read_logged_engine(DATA / "vllm_logs" / folder / "meta.json")
    layout = layout_from(server.layout, catalog_model(model))
    r = replica(catalog_model(model), catalog_accelerator(card), "bf16", "bf16", layout, stated_blocks=server.blocks)
    return read_logged_run(DATA / "vllm_logs" / folder / "requests.jsonl"), r, server.engine(r)


def fitted(one: Logged, known: float, beside: bool = True) -> RunFit:
    run, r, engine = one
    return fit_run(run, r, engine, known * run.end_s, beside)


def met(one: Logged, f: RunFit) -> Times:
    run, _, engine = one
    return replayed(run, engine, f.table(engine.token_budget))[0]


def worst(told: dict[str, float], quantity: str) -> float:
    """The largest of the errors of mean, median and p99, in percent with its sign."""
    return 100 * max((e for key, e in told.items() if key.startswith(quantity)), key=abs)


def held_back(runs: dict[str, Logged], shares: tuple[float, ...]) -> dict[str, Any]:
    """(a)"""
    found: dict[str, Any] = {}
    for name, one in runs.items():
        run, r, engine = one
        before = replayed(run, engine, table_of(r, catalog_costs(r), engine.token_budget))[0]
        for quantity in ("ttft", "tpot"):
            found[f"{quantity}, worst of mean, p50, p99 [%], {name}, catalog"] = worst(errors(run, before), quantity)
        for share in shares:
            for beside in (False, True):
                f = fitted(one, share, beside)
                told = errors(run, met(one, f), share * run.end_s)
                how = f"{name}, {share:.0%} known" + (", prompts beside reading" if beside else "")
                found |= {f"{key} [%], {how}": 100 * e for key, e in told.items()}
                each = median_errors(run, met(one, f), share * run.end_s)
                found[f"ttft of a request, median error [%], {how}"] = 100 * each[0]
                found[f"tpot of a request, median error [%], {how}"] = 100 * each[1]
                found[f"requests known: begun, ended, {how}"] = f"{f.known[0]}, {f.known[1]}"
    return found


def ways(runs: dict[str, Logged]) -> dict[str, Any]:
    """(b): the same fit with another belief about the engine; worst error of what was held back."""
    beliefs: dict[str, Callable[[Engine], Engine]] = {
        "as its files say": lambda e: e,
        "scheduling does not run ahead": lambda e: replace(e, lag=0),
        "budget of 8,192 tokens": lambda e: replace(e, token_budget=8192),
        "256 or 512 sequences at once": lambda e: replace(e, max_seqs=2 * e.max_seqs),
        "a tenth of the blocks fewer": lambda e: replace(e, kv_blocks=e.kv_blocks * 9 // 10),
        "watermark of 1 %": lambda e: replace(e, watermark=0.01),
    }
    found: dict[str, Any] = {}
    for name, (run, r, engine) in runs.items():
        for belief, other in beliefs.items():
            one = run, r, other(engine)
            told = errors(run, met(one, fitted(one, KNOWN)), KNOWN * run.end_s)
            for quantity in ("ttft", "tpot"):
                found[f"{quantity}, worst [%], {name}, fitted: {belief}"] = worst(told, quantity)
    return found


def mechanisms(runs: dict[str, Logged]) -> dict[str, Any]:
    """(c): the fitted step time stays, one mechanism goes; errors over the whole run."""
    off: dict[str, Callable[[Engine], Engine]] = {
        "none": lambda e: e,
        "prompts mixed into decoding": lambda e: replace(e, mixed=False),
        "chunks of prompts": lambda e: replace(e, token_budget=1 << 15),
        "scheduling ahead": lambda e: replace(e, lag=0),
        "prefix cache (of those who gave way)": lambda e: replace(e, prefix_cache=False),
        "bound of memory, so that nobody gives way": lambda e: replace(e, kv_blocks=1 << 20),
        "bound on sequences": lambda e: replace(e, max_seqs=1024),
        "no watermark: one of 2 %": lambda e: replace(e, watermark=0.02),
    }
    found: dict[str, Any] = {}
    for name, one in runs.items():
        run, _, engine = one
        table = fitted(one, KNOWN).table(engine.token_budget)
        for mechanism, without in off.items():
            changed = without(engine)
            changed = replace(changed, token_budget=max(changed.token_budget, changed.max_seqs))
            times, served = replayed(run, changed, table)
            told = errors(run, times)
            for key in ("ttft p99", "tpot p99"):
                found[f"{key} [%], {name}, off: {mechanism}"] = 100 * told[key]
            found[f"gave way, {name}, off: {mechanism}"] = served.preemptions
            early = np.abs(run.ttft_s(times) / run.ttft_s(run.met) - 1)[:100]
            what = f"ttft of the first 100, median error [%], {name}, off: {mechanism}"
            found[what] = 100 * float(np.median(early))
    return found


def by_load(runs: dict[str, Logged]) -> dict[str, Any]:
    """(d): requests in the server when one comes; behind the knee they wait for a place."""
    found: dict[str, Any] = {}
    for name, one in runs.items():
        run, _, _ = one
        times = met(one, fitted(one, KNOWN))
        there = np.array([(run.met.last_s[:i] > at).sum() for i, at in enumerate(run.arrival_s)])
        for low, high in ((0, 16), (16, 32), (32, 64), (64, 128), (128, 301)):
            rows = (there >= low) & (there < high)
            for quantity, of in (("ttft", run.ttft_s), ("tpot", run.tpot_s)):
                off = np.abs(of(times)[rows] / of(run.met)[rows] - 1)
                found[f"{quantity} of a request, median error [%], {low} to {high - 1} there, {name}"] = 100 * float(
                    np.median(off)
                )
    return found


def carried(runs: dict[str, Logged]) -> dict[str, Any]:
    """(e): the shifts of a whole run on the replica of another."""
    found: dict[str, Any] = {}
    for source, one in runs.items():
        f = fitted(one, 1.0)
        for name, other in runs.items():
            told = errors(other[0], met(other, with_fit_of(f, other[1])))
            for quantity in ("ttft", "tpot"):
                found[f"{quantity} mean [%], fitted to {source}, on {name}"] = 100 * told[f"{quantity} mean"]
    return found


QUICK = StepTable(per_iteration=TICKS * PS_PER_S // 10_000)
"""Answers take next to no time, as in the list that is compared."""
Request = tuple[float, int, int, int, list[int]]
"""Instant [s], session, input, tokens shared with the session's last request, blocks."""


def engine_hits(requests: list[Request], tokens: int) -> float:
    """Share of all prompt tokens that the engine finds in so much memory."""
    chains: dict[int, list[tuple[int, int, int, int]]] = {}
    since: dict[int, int] = {}
    for at_s, session, inputs, shared, _ in requests:
        at = round(at_s * PS_PER_S)
        chains.setdefault(session, []).append((at - since.get(session, 0), inputs, min(shared, inputs - 1), 1))
        since[session] = at
    found = serve_closed_loop(Engine(tokens // 16, 1 << 20, lag=0), QUICK, list(chains.values()))
    return float(found.hit_tokens.sum() / sum(r[2] for r in requests))


def list_hits(requests: list[Request], tokens: int, block: int) -> float:
    """The same from the list of single blocks."""
    blocks, at_s = pl.Series([r[4] for r in requests]), pl.Series([r[0] for r in requests])
    found = blocks_held(blocks, at_s, block, Cache(tokens=tokens)).to_numpy() * block
    inputs = np.array([r[2] for r in requests])
    return float(np.minimum(found, inputs - 1).sum() / inputs.sum())


def agents(sessions: int, spread_s: float) -> list[Request]:
    """Main agents of public sessions, begun at random; blocks from what each request shares with the one before."""
    frame = pl.read_parquet(DATA / "demand/claude_code/claude_code_requests.parquet").filter(agent=0)
    begin = np.random.Generator(np.random.Philox(key=1)).uniform(0, spread_s, sessions)
    found: list[Request] = []
    fresh = 0
    for i, (_, own) in enumerate(frame.sort("session", "turn").group_by("session", maintain_order=True)):
        if i == sessions:
            break
        before: list[int] = []
        for t, inputs, shared in own.select("t", "in_tokens", "cached_prev").iter_rows():
            same = min((shared or 0) // 64, len(before), inputs // 64)
            before = before[:same] + list(range(fresh, fresh + inputs // 64 - same))
            fresh += inputs // 64 - same
            found.append((begin[i] + t, i + 1, max(inputs, 1), same * 64, before))
    return sorted(found, key=lambda r: r[0])


def mooncakes(name: str) -> list[Request]:
    """Requests of Mooncake: each goes on with the session of whoever last had the end of its known beginning."""
    frame = mooncake.read(DATA / "demand/mooncake" / name).frame
    last: dict[int, list[int]] = {}
    owner: dict[int, int] = {}
    found: list[Request] = []
    for t, inputs, blocks in frame.select("t_s", "input_tokens", "blocks").iter_rows():
        known = next((n for n, b in enumerate(blocks) if b not in owner), len(blocks))
        session = owner[blocks[known - 1]] if known else len(last) + 1
        of = last.get(session, [])
        same = next((n for n, (x, y) in enumerate(zip(of, blocks, strict=False)) if x != y), min(len(of), len(blocks)))
        if 2 * same < len(of):  # it branches off early: the other goes on beside it, and what they share is lost
            session, same = len(last) + 1, 0
        last[session] = blocks
        owner |= dict.fromkeys(blocks, session)
        found.append((t, session, inputs, min(same * 512, inputs - 1), blocks))
    return found


def prefix_hits(smoke: bool) -> Iterator[tuple[str, float]]:
    """(f)"""
    mine = agents(10 if smoke else 60, 4 * 3600.0)
    for tokens in (1_000_000, 2_000_000, 4_000_000, 16_000_000):
        what = f"share of prompts found, agents, {tokens / 1e6:g} M tokens of memory"
        yield f"{what}, engine", engine_hits(mine, tokens)
        yield f"{what}, list", list_hits(mine, tokens, 64)
    for name in ("synthetic_trace",) if smoke else ("conversation_trace_first20min", "synthetic_trace"):
        theirs = mooncakes(f"{name}.jsonl")
        for tokens in (4_000_000,) if smoke else (1_000_000, 4_000_000, 16_000_000):
            what = f"share of prompts found, Mooncake {name.split('_')[0]}, {tokens / 1e6:g} M tokens of memory"
            yield f"{what}, engine", engine_hits(theirs, tokens)
            yield f"{what}, list", list_hits(theirs, tokens, 512)


def asked(p: Point, c: Coefficients, r: Replica) -> tuple[float, float]:
    """Mean TTFT and TPOT of a published point by its own protocol on the engine. [s]"""
    found = serve_load(protocol(p.concurrency, p.input_tokens, p.output_tokens, p.engine), r, c, skip=int(p.steady))
    return found.ttft_s, found.tpot_s


def of_point(p: Point) -> tuple[Replica, Coefficients]:
    chip = catalog_accelerator(p.accelerator)
    r = replica(catalog_model(p.model), chip, p.precision, usual_kv(p.precision), p.layout, p.engine)
    return r, coefficients(p.engine, p.accelerator, chip.vendor, p.precision, p.version)


def tabulated(p: Point) -> bool:
    """Whether the time of its iterations can be tabulated within the table's own tolerance."""
    return not (p.model == "gpt-oss-120b" and p.layout.tensor >= 4)  # 2.1 to 3.5 millionths off, 2 are let pass


def published(every: int) -> dict[str, Any]:
    """(g), first part: the catalog's coefficients, which were fitted to these points by another stepper."""
    chosen = [p for p in points() if p.layout.data == 1 and tabulated(p)][::every]
    ttft, tpot = np.array([np.array(asked(p, *reversed(of_point(p)))) / (p.ttft_s, p.tpot_s) - 1 for p in chosen]).T
    found: dict[str, Any] = {"published points asked": len(chosen)}
    flight = np.array([p.concurrency for p in chosen])
    for low, high in ((1, 8), (8, 32), (32, 128), (128, 1 << 20)):
        rows = (flight >= low) & (flight < high)
        for name, e in (("ttft", ttft), ("tpot", tpot)):
            what = f"{name}, published, {low} to {high - 1 if high < 1 << 20 else '...'} in flight"
            found[f"median error [%], {what}"] = 100 * float(np.median(np.abs(e[rows])))
            found[f"p90 of the error [%], {what}"] = 100 * float(np.quantile(np.abs(e[rows]), 0.9))
    return found


def curves(most: int) -> list[list[Point]]:
    """Points that differ in the requests in flight alone, five and more of them."""
    by: dict[tuple[object, ...], dict[int, Point]] = {}
    for p in points():
        if p.layout.data == 1 and tabulated(p):
            by.setdefault((p.group, p.version, p.month, p.input_tokens, p.output_tokens, p.steady), {})[
                p.concurrency
            ] = p
    found = [[own[c] for c in sorted(own)] for own in by.values() if len(own) >= 5]
    return found[:: max(1, len(found) // most)][:most]


def carried_within(flight: list[int], tpot: list[float], ttft: list[float], output: int, bound_s: float) -> float:
    """Requests per second at the most requests in flight at which a token takes no longer than the bound."""
    most = np.exp(np.interp(np.log(bound_s), np.log(tpot), np.log(flight)))
    at = np.interp(np.log(most), np.log(flight), np.log(ttft))
    return float(most / (np.exp(at) + (output - 1) * bound_s))


def calibrated(known: list[Point], r: Replica, c: Coefficients) -> Coefficients:
    """The coefficients after a fit to some points of a curve, as `calibrate serving` makes it."""
    measured = [
        Measurement(
            file="",
            line=i,
            input_tokens=p.input_tokens * (1 + USUAL_SHORTEST) / 2,
            output_tokens=p.output_tokens * (1 + USUAL_SHORTEST) / 2,
            concurrency=p.concurrency,
            requests=p.concurrency * 10,
            shortest=USUAL_SHORTEST,
            ttft_s=p.ttft_s,
            tpot_s=p.tpot_s,
            tokens_per_s=None,
        )
        for i, p in enumerate(known)
    ]
    own = shifted_costs(costs(c), own_fit(loads(measured, r), costs(c)).shifts)
    first = own[len(PATHS) :] * FIRST_UNITS_S
    return replace(c, cost=tuple(own[: len(PATHS)].tolist()), first=tuple(first.tolist()))


def bounds(most: int) -> dict[str, Any]:
    """(g), second part: the bound is the geometric mean of the least and the largest measured time per token.

    As many accelerators are needed for a demand as the rate of one is smaller, so the error is that of both.
    """
    off: dict[str, list[float]] = {"catalog": [], "three points measured": [], "every point measured": []}
    for curve in curves(most):
        r, c = of_point(curve[0])
        flight, true_tpot = [p.concurrency for p in curve], [p.tpot_s for p in curve]
        if sorted(true_tpot) != true_tpot:
            continue  # a bound would be met by several loads
        bound_s = float(np.sqrt(true_tpot[0] * true_tpot[-1]))
        output = curve[0].output_tokens
        true = carried_within(flight, true_tpot, [p.ttft_s for p in curve], output, bound_s)
        three = calibrated([curve[0], curve[len(curve) // 2], curve[-1]], r, c)
        for how, by in zip(off, (c, three, calibrated(curve, r, c)), strict=True):
            ttft, tpot = zip(*(asked(p, by, r) for p in curve), strict=True)
            ours = carried_within(flight, list(np.maximum.accumulate(tpot)), list(ttft), output, bound_s)
            off[how].append(abs(ours / true - 1))
    found: dict[str, Any] = {"curves": len(off["catalog"])}
    for how, errors_of in off.items():
        found[f"rate within a bound, median error [%], {how}"] = 100 * float(np.median(errors_of))
        found[f"rate within a bound, p90 of the error [%], {how}"] = 100 * float(np.quantile(errors_of, 0.9))
        found[f"rate within a bound, share of curves within 10 %, {how}"] = float(np.mean(np.array(errors_of) <= 0.1))
    return found


if __name__ == "__main__":
    options = arguments(__doc__ or "")
    figures: dict[str, Any] = {}
    if (DATA / "vllm_logs").exists():
        runs = {name: logged(name) for name in RUNS}
        figures |= held_back(runs, (KNOWN,) if options.smoke else (KNOWN, 0.5))
        figures |= mechanisms(runs) | by_load(runs) | carried(runs)
        figures |= {} if options.smoke else ways(runs)
    if (DATA / "demand").exists():
        figures |= dict(prefix_hits(options.smoke))
    if installed():
        figures |= published(40 if options.smoke else 8) | bounds(6 if options.smoke else 40)
    publish("validity against real engines", figures, options.json)
