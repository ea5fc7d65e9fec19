"""Drawn demand against real traces: distances, means, cache, accelerators for a service level; and rows per second.

Needs the shared traces (`AMPACITY_DATA`, or ../shared/data beside the project) for all but the speed.
"""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ampacity.demand.agent_model import packaged_model
from ampacity.demand.bursts import bursts, fit_bursts
from ampacity.demand.calibrate import calibrate
from ampacity.demand.chat import chat_lengths
from ampacity.demand.clients import arrivals, client_law, client_windows
from ampacity.demand.goodness import distance
from ampacity.demand.open_loop import TABLE, RowLaw, all_rows, law_of
from ampacity.demand.requests import read_requests, session_split
from ampacity.demand.sessions import generate, served
from ampacity.inference.operating_point import Mix, operating_point
from ampacity.inference.replica import replica
from ampacity.inference.step_time import StepTime, step_time
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from measure import arguments, cpu_s, publish

Floats = NDArray[np.float64]
DATA = Path(os.environ.get("AMPACITY_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "demand"
DAY_S, MINUTE_S = 86_400.0, 60.0
SERVED_MINUTES = 0.99
TPOT_S = 0.05


def speed(smoke: bool) -> dict[str, Any]:
    """Rows per second of processor time: ours, and the same columns straight from numpy's generator."""
    model = packaged_model()
    steps = generate(model, 1, np.arange(2000))
    law = law_of(served(steps, model.service).frame())
    rates = np.full(2 if smoke else 10, 2000.0)
    rows = sum(len(r) for r in all_rows(law, 1, rates, 600.0, 1_000_000, 1.0))
    repeats = 1 if smoke else 3
    ours = cpu_s(lambda: [len(r) for r in all_rows(law, 1, rates, 600.0, 1_000_000, 1.0)], repeats)
    theirs = cpu_s(lambda: numpy_rows(law, rows), repeats)
    closed = cpu_s(lambda: generate(model, 1, np.arange(4000)), repeats)
    busy = client_windows(client_law("m-large"), 1, 135, 100.0, (0, 6))
    asked = len(arrivals(busy, 1)[1])
    clients = cpu_s(lambda: arrivals(busy, 1), repeats)
    return {
        "open-loop rows, million per CPU s": rows / ours / 1e6,
        "the same from numpy's own generator, million per CPU s": rows / theirs / 1e6,
        "ours over numpy's": theirs / ours,
        "closed-loop steps, million per CPU s": len(generate(model, 1, np.arange(4000))) / closed / 1e6,
        "API client requests, million per CPU s": asked / clients / 1e6,
    }


def numpy_rows(law: RowLaw, rows: int) -> None:
    """Time, user, input, cached, output with the fastest of numpy's generators; depends on how it is cut."""
    rng = np.random.Generator(np.random.SFC64(1))
    for begin in range(0, rows, 1 << 20):
        n = min(1 << 20, rows - begin)
        np.cumsum(rng.standard_exponential(n))
        which = rng.integers(0, TABLE, n, dtype=np.uint16).astype(np.int64)
        for table in (law.input_tokens, law.cached_tokens, law.output_tokens):
            table.take(which, mode="wrap")
        np.exp(rng.standard_normal(n, dtype=np.float32)).astype(np.int32)


def agents(smoke: bool) -> dict[str, Any]:
    """The calibration of the public coding-agent traces, and accelerators for a service level."""
    trace = read_requests(DATA / "claude_code" / "claude_code_requests.parquet")
    frame = trace.frame
    c = calibrate(trace, "claude_code", 1, date.today(), 2 if smoke else 30)
    figures: dict[str, Any] = {}
    for g in c.goodness:
        figures[f"KS {g.statistic} (target {g.target:.2f})"] = round(g.distance, 4)
        figures[f"KS {g.statistic}, held out; floor; its p95"] = f"{g.held_out:.3f}; {g.floor:.3f}; {g.floor_p95:.3f}"
    figures["hit share, trace; drawn"] = f"{c.hit:.4f}; {c.drawn_hit:.4f}"
    for name, real in c.means.items():
        figures[f"mean {name}, drawn over trace"] = c.drawn_means[name] / real
    for name, value in vars(c.hour).items():
        figures[f"active session-hour: {name}"] = value
    for lifetime, missed in c.uncached_by_lifetime.items():
        figures[f"uncached share, lifetime {lifetime:.0f} s"] = missed
    most, rest = session_split(frame, 0.75, np.random.default_rng(1))
    ours = served(generate(c.model, 1, np.arange(4000)), c.model.service).frame()
    parts = {"trace": frame, "ours": ours, "75": most, "25": rest}
    needed = {name: accelerators(part) for name, part in parts.items()}
    figures["accelerators for the SLO, 4,000 sessions a day, trace"] = needed["trace"]
    figures["the same, drawn"] = needed["ours"]
    figures["accelerators, drawn over trace"] = needed["ours"] / needed["trace"]
    figures["accelerators, 25 % of the trace over the other 75 %"] = needed["25"] / needed["75"]
    return figures


def accelerators(frame: pl.DataFrame) -> float:
    """Accelerators that serve, in 99 % of minutes, the work of 4,000 sessions a day within the minute it arrives in.

    Sessions of the frame are taken with repetition and begin evenly over a day that is a circle. A request's work is
    its prefill and its share of the decode steps at the operating point of its population's own mix.
    Median of ten such days.
    """
    main = frame.filter(pl.col("agent") == 0).sort("session", "step")
    step = machine()
    names = ("input_tokens", "cached_tokens", "output_tokens")
    whole, cached, output = (main[name].to_numpy().astype(float) for name in names)
    mix = Mix(float((whole - cached).mean()), float(cached.mean()), float(output.mean()), float(whole.mean()))
    point = operating_point(step, mix, TPOT_S)
    assert point is not None
    missed = whole - cached
    prefill = step.seconds(0.0, 0.0, missed, missed * (whole - missed / 2))
    each = step.seconds(float(point.batch), point.batch * (whole + output / 2))
    work = step.replica.accelerators * (prefill + output * each / point.batch)
    t, owner = main["t_s"].to_numpy(), main["session"].rank("dense").to_numpy().astype(np.int64) - 1
    edges = np.searchsorted(owner, np.arange(owner.max() + 2))
    days = []
    for day in range(10):
        rng = np.random.default_rng(day)
        minutes = np.zeros(int(DAY_S / MINUTE_S))
        begins = rng.uniform(0, DAY_S, 4000)
        for session, begin in zip(rng.integers(0, owner.max() + 1, len(begins)), begins, strict=True):
            rows = slice(edges[session], edges[session + 1])
            np.add.at(minutes, ((t[rows] + begin) % DAY_S // MINUTE_S).astype(int), work[rows])
        days.append(np.quantile(minutes, SERVED_MINUTES) / MINUTE_S)
    return float(np.median(days))


def machine() -> StepTime:
    """Llama 3.1 70B in fp8 on eight H100."""
    model = catalog_model("llama-3.1-70b")
    chip = catalog_accelerator("h100-sxm")
    return step_time(replica(model, chip, "fp8", "fp8", 8))


def chat() -> dict[str, Any]:
    """Packaged chat lengths, and bursts of code completions, against the Azure traces."""
    conv = pl.read_csv(DATA / "azure2023" / "AzureLLMInferenceTrace_conv.csv")
    figures: dict[str, Any] = {}
    for field, column in (("input_tokens", "ContextTokens"), ("output_tokens", "GeneratedTokens")):
        real = conv[column].to_numpy().astype(float)
        figures[f"KS chat {field}"] = distance(chat_lengths(field).astype(float), real)
    code = pl.read_csv(DATA / "azure2023" / "AzureLLMInferenceTrace_code.csv")
    t = np.sort(code["TIMESTAMP"].str.slice(0, 26).str.to_datetime().dt.epoch("us").to_numpy() / 1e6)
    law = fit_bursts(t)
    drawn = [bursts(law, seed, 141) for seed in range(20)]
    figures["KS gaps of code bursts, median of 20"] = np.median(
        [distance(np.diff(x), np.diff(t)) for x in drawn]
    ).item()
    for width in (1, 10, 60):
        real = dispersion(t - t[0], width)
        ours = np.median([dispersion(x, width) for x in drawn]).item()
        figures[f"index of dispersion over {width} s, drawn over trace"] = ours / real
    return figures


def dispersion(t: Floats, width: float) -> float:
    """Variance over mean of the counts per bin."""
    count = np.bincount((t // width).astype(np.int64))
    return float(count.var() / count.mean())


def clients() -> dict[str, Any]:
    """Drawn API clients against ServeGen's: shares of the heaviest, peaks, burstiness."""
    windows = pl.read_parquet(DATA / "servegen" / "servegen_client_windows_week1.parquet")
    figures: dict[str, Any] = {}
    for (service,), own in windows.group_by("model", maintain_order=True):
        n, number = own["client"].n_unique(), int(np.max(own["t"].to_numpy()) // 600) + 1
        place = (own["t"].to_numpy() // 600).astype(int)
        real = np.bincount(place, own["rate"].to_numpy(), minlength=number)
        law = client_law(str(service))
        peak, top = [], []
        for seed in range(5):
            drawn = client_windows(law, seed, n, float(real.mean()), (0, number))
            total = np.bincount(drawn.window, drawn.rate_per_s, minlength=number)
            peak.append(total.max() / total.mean())
            top.append(top_share(np.bincount(drawn.client, drawn.rate_per_s)))
        actual = top_share(own.group_by("client").agg(pl.col("rate").sum())["rate"].to_numpy())
        figures[f"{service}: top ten clients, trace; drawn"] = f"{actual:.2f}; {np.median(top):.2f}"
        figures[f"{service}: peak over mean, trace; drawn"] = f"{real.max() / real.mean():.2f}; {np.median(peak):.2f}"
    return figures


def top_share(rates: Floats) -> float:
    """Share of the ten largest."""
    return float(np.sort(rates)[::-1][:10].sum() / rates.sum())


def main() -> None:
    """Measure and print."""
    options = arguments(__doc__ or "")
    began = time.process_time()
    figures = speed(options.smoke)
    if DATA.exists():
        figures |= agents(options.smoke) | chat() | clients()
    else:
        figures["traces"] = f"absent: no {DATA}"
    figures["CPU s of this script"] = time.process_time() - began
    publish("demand", figures, options.json)


if __name__ == "__main__":
    main()
