"""API clients: organisations and applications whose traffic is bursty, heavy-tailed and steady for ten minutes at most.

In each window of ten minutes a client's requests are a renewal process of Gamma or Weibull gaps [1]_. Windows are
drawn by their number alone, each in equilibrium: an ordinary renewal process would begin every window with a request
and, at a coefficient of variation of 12, ask for 70 requests too many. Gaps are scaled to the window's rate, since the
mean of a law fitted to gaps is not one over the rate (Weibull: 1.2 times at the median, 2.5 times in the worst tenth).

References
----------
.. [1] Xiang et al., ServeGen: Workload Characterization and Generation of Large Language Model Serving in Production,
   arXiv 2505.09999, NSDI 2026; data alibaba/ServeGen (Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit, gammaincinv, gammaln, logit, ndtr, ndtri

from ampacity.demand import draws
from ampacity.demand.runs import running_sums
from ampacity.demand.slow import slow_scores
from ampacity.scenario import lookup

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

WINDOW_S = 600.0


@dataclass(frozen=True)
class ClientLaw:
    """A population of clients; logarithms are natural.

    sigma: spread of the log of clients' rates while active. active_logit, active_logit_sd: log-odds of the share of
    windows in which a client is active, and their spread. active_follows: correlation of it with the log rate.
    stay: probability of staying active from window to window. within_sd, within_correlation: of the log of one client's
    rate; most: its ceiling, in units of its mean. gamma_share: of windows with Gamma gaps, the others are Weibull.
    gamma_shape, gamma_shape_between, gamma_shape_within: mean of the log of shapes, spread between clients and inside
    one. weibull_shape, weibull_shape_sd: the same of Weibull windows.
    """

    sigma: float
    active_logit: float
    active_logit_sd: float
    active_follows: float
    stay: float
    within_sd: float
    most: float
    within_correlation: float
    gamma_share: float
    gamma_shape: float
    gamma_shape_between: float
    gamma_shape_within: float
    weibull_shape: float
    weibull_shape_sd: float


@dataclass(frozen=True)
class ClientWindows:
    """What clients do in windows of ten minutes, one entry a window in which a client is active.

    client, window: numbers. rate_per_s: requests [1/s]. weibull: the family of gaps, Gamma otherwise. shape: of it.
    """

    client: Ints
    window: Ints
    rate_per_s: Floats
    weibull: Flags
    shape: Floats

    def __len__(self) -> int:
        return len(self.client)


def client_law(model: str) -> ClientLaw:
    """The law of the clients of one of the published services: m-large, m-mid, m-small, deepseek-r1, mm-image.

    Raises KeyError.
    """
    for row in lookup.table("demand/clients"):
        if row["service"] == model:
            return ClientLaw(**{f.name: float(row[f.name]) for f in fields(ClientLaw)})
    raise KeyError(model)


def fit_clients(windows: pl.DataFrame) -> ClientLaw:
    """The law of clients from their windows: client, t [s], rate [1/s], pattern (Gamma or Weibull), a (shape).

    What one client does over time, and its gaps, are averaged over requests, not over clients: heavy clients are
    steadier and burstier than light ones, and they are the load.
    """
    w = windows.filter(pl.col("rate") > 0).sort("client", "t")
    w = w.select(
        "client", "t", pl.col("pattern").cast(pl.String), l=pl.col("rate").log(), a=pl.col("a").log(), r=pl.col("rate")
    )
    w = w.with_columns(off=pl.col("l") - pl.col("l").mean().over("client"), load=pl.col("r").mean().over("client"))
    w = w.with_columns(before=pl.col("off").shift().over("client"), apart=pl.col("t").diff().over("client"))
    total = float(np.max(w["t"].to_numpy())) / WINDOW_S + 1
    each = w.group_by("client", maintain_order=True).agg(level=pl.col("l").mean(), number=pl.len())
    odds = logit(np.clip(each["number"].to_numpy() / total, 0.5 / total, 1 - 0.5 / total))
    level = each["level"].to_numpy()
    next_to = w.filter(pl.col("apart") == WINDOW_S)
    off, before, load = (next_to[name].to_numpy() for name in ("off", "before", "load"))
    within_correlation = float(np.sum(off * before * load) / np.sum((off**2 + before**2) / 2 * load))
    rates = [(own["r"].to_numpy(), float(own["r"].sum())) for _, own in w.group_by("client", maintain_order=True)]
    loads = [load for _, load in rates]
    square = [float(np.var(r) / np.mean(r) ** 2) for r, _ in rates]
    peak = [float(np.max(r) / np.mean(r)) for r, _ in rates]
    gamma, weibull = (w.filter(pl.col("pattern") == name) for name in ("Gamma", "Weibull"))
    shape = gamma.group_by("client").agg(pl.col("a").mean(), pl.col("r").sum(), within=pl.col("a").var().fill_null(0.0))
    gamma_shape, between = _weighted(shape["a"], shape["r"])
    weibull_shape, weibull_sd = _weighted(weibull["a"], weibull["r"])
    return ClientLaw(
        sigma=float(np.std(level)),
        active_logit=float(np.mean(odds)),
        active_logit_sd=float(np.std(odds)),
        active_follows=float(np.corrcoef(level, odds)[0, 1]),
        stay=len(next_to) / len(w),
        within_sd=float(np.sqrt(np.log1p(np.average(square, weights=loads)))),
        most=float(np.average(peak, weights=loads)),
        within_correlation=within_correlation,
        gamma_share=float(np.sum(gamma["r"].to_numpy()) / np.sum(w["r"].to_numpy())),
        gamma_shape=gamma_shape,
        gamma_shape_between=between,
        gamma_shape_within=float(np.sqrt(np.average(shape["within"].to_numpy(), weights=shape["r"].to_numpy()))),
        weibull_shape=weibull_shape,
        weibull_shape_sd=weibull_sd,
    )


def _weighted(values: pl.Series, weights: pl.Series) -> tuple[float, float]:
    """Mean and standard deviation under weights; of nothing, 0 and 0."""
    if len(values) == 0:
        return 0.0, 0.0
    x, w = values.to_numpy().astype(np.float64), weights.to_numpy().astype(np.float64)
    mean = float(np.average(x, weights=w))
    return mean, float(np.sqrt(np.average((x - mean) ** 2, weights=w)))


def client_windows(
    law: ClientLaw, seed: int, clients: int, rate_per_s: float, windows: tuple[int, int]
) -> ClientWindows:
    """What `clients` clients with `rate_per_s` together, in expectation, do in the windows [first, last).

    Clients are ranked by rate and stand at its quantiles, so a few heavy ones make most of the traffic in every run.
    """
    rank = np.arange(clients)
    z = ndtri((rank + 0.5) / clients)
    odds = law.active_logit + law.active_logit_sd * (
        law.active_follows * z + np.sqrt(1 - law.active_follows**2) * draws.normal(seed, "client active", rank)
    )
    share = expit(odds)
    level = np.exp(law.sigma * z)
    level *= rate_per_s / float(np.sum(level * share))
    window = np.arange(*windows, dtype=np.int64)
    on = ndtr(slow_scores(seed, "client on", window, law.stay, rank)) < share[:, None]
    swing = slow_scores(seed, "client rate", window, law.within_correlation, rank)
    rate = level[:, None] * _swings(law, swing)
    client, place = np.nonzero(on)
    number = window[place]
    weibull = draws.uniform(seed, "family", client, number) >= law.gamma_share
    own = draws.normal(seed, "client shape", rank)[client]
    z_window = np.clip(draws.normal(seed, "shape", client, number), -2.0, 2.0)
    gamma_shape = law.gamma_shape + law.gamma_shape_between * own + law.gamma_shape_within * z_window
    log_shape = np.where(weibull, law.weibull_shape + law.weibull_shape_sd * z_window, gamma_shape)
    return ClientWindows(client, number, rate[client, place], weibull, np.exp(log_shape))


def _swings(law: ClientLaw, z: Floats) -> Floats:
    """A client's rate in units of its mean: log-normal below a ceiling, since quotas and fleets of callers end."""
    grid = ndtri((np.arange(4096) + 0.5) / 4096)
    raw = np.exp(law.within_sd * grid)
    ceiling = law.most * float(raw.mean())
    for _ in range(20):
        ceiling = law.most * float(np.minimum(raw, ceiling).mean())
    return np.asarray(np.minimum(np.exp(law.within_sd * z), ceiling) / np.minimum(raw, ceiling).mean())


def arrivals(windows: ClientWindows, seed: int, length_s: float = WINDOW_S) -> tuple[Ints, Floats]:
    """Requests of clients: for each its entry in `windows`, and its time from the start of window 0 [s], rising there.

    Drawn in portions; a window that a portion does not fill asks for twice as many gaps, whose first are the same.
    """
    mean = windows.rate_per_s * length_s
    spread = np.sqrt(_variation(windows.weibull, windows.shape) * mean)
    wanted = np.ceil(mean + 4 * spread + 8).astype(np.int64)
    left = np.arange(len(windows))
    entries, times = [], []
    while len(left):
        entry, t, short = _renewals(windows, seed, length_s, left, wanted[left])
        entries.append(entry)
        times.append(t)
        left = left[short]
        wanted[left] *= 2
    entry, t = np.concatenate(entries or [np.empty(0, np.int64)]), np.concatenate(times or [np.empty(0)])
    order = np.argsort(entry, kind="stable")
    entry, t = entry[order], t[order]
    return entry, t + windows.window[entry] * length_s


def _renewals(
    windows: ClientWindows, seed: int, length_s: float, entries: Ints, number: Ints
) -> tuple[Ints, Floats, Flags]:
    """Times inside some windows from so many gaps each, and which windows these did not fill (their times left out)."""
    owner = np.repeat(np.arange(len(entries)), number)
    first = np.cumsum(number) - number
    order = np.arange(len(owner)) - np.repeat(first, number)
    at = entries[owner]
    client, window = windows.client[at], windows.window[at]
    u = draws.uniform(seed, "gap", client, window, order)
    weibull, shape = windows.weibull[at], windows.shape[at]
    begins = order == 0
    gap = _gap(u, weibull, shape, begins)
    gap[begins] *= draws.uniform(seed, "elapsed", windows.client[entries], windows.window[entries])
    t = running_sums(gap, begins) / windows.rate_per_s[at]
    short = t[first + number - 1] < length_s
    inside = (t < length_s) & ~short[owner]
    return at[inside], t[inside], short


def _gap(u: Floats, weibull: Flags, shape: Floats, begins: Flags) -> Floats:
    """Gaps with mean 1; where a window begins, one that a point in time falls into, longer gaps being likelier."""
    gap = np.empty_like(u)
    w, a = weibull, shape
    power = 1 / a[w]
    # the transform of a Weibull gap to the power of its shape is exponential, or Gamma(1 + 1/shape) if length-biased
    exponential = np.where(begins[w], 0.0, -np.log1p(-u[w]))
    biased = begins[w]
    exponential[biased] = gammaincinv(1 + power[biased], u[w][biased])
    gap[w] = np.exp(power * np.log(np.maximum(exponential, 1e-300)) - gammaln(1 + power))
    gap[~w] = gammaincinv(a[~w] + begins[~w], u[~w]) / a[~w]
    return gap


def _variation(weibull: Flags, shape: Floats) -> Floats:
    """Squared coefficient of variation of the gaps."""
    of_weibull = np.exp(np.minimum(gammaln(1 + 2 / shape) - 2 * gammaln(1 + 1 / shape), 30.0)) - 1
    return np.where(weibull, of_weibull, 1 / shape)
