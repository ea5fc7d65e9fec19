"""A calibration from the log of a run, in words: how far off it is on what it did not see, and what to doubt."""

from __future__ import annotations

from ampacity.reporting.catalog_views import View
from ampacity.reporting.serving_calibration_words import DOUBTFUL_FACTOR
from ampacity.simulator.logged_calibration import LoggedCalibration
from ampacity.simulator.logged_run import STATISTICS

GOOD = 0.05
"""Errors up to this are what the engine reached on the logs that it was checked against."""
SHOWN = {"ttft": "first token", "tpot": "time per token", "latency": "last token"}
FEW = 30


def logged_view(found: LoggedCalibration) -> View:
    """What was fitted, the worst error, doubts, and a table: the server's figures, and how far off both are."""
    own, run = found.calibration, found.run
    first, last = found.judged
    worst, alone = found.worst(found.own), found.worst(found.catalog)
    seen = f"fitted to the first {100 * found.known:.3g} %" if found.held_back else "fitted to all of it"
    judged = "what came later" if found.held_back else "all of it, which the fit saw"
    doubts = _doubts(found)
    lines = [
        f"{own.model} {own.precision} on {own.accelerator} ({own.layout}, {own.engine}): "
        f"{len(run)} requests in {run.end_s:,.0f} s, {seen}",
        "",
        *(f"  Warning: {doubt}" for doubt in doubts),
        f"  Mean, p50 and p99 of first tokens and of times per token are within {100 * worst:.1f} % of the server's,",
        f"  over {judged}; with the catalog alone within {100 * alone:.0f} %.",
        f"  {_prompts(found)}",
        "",
        f"  {f'{first} first tokens, {last} last ones':<38}" + "".join(f"{s:>10}" for s in STATISTICS),
    ]
    for key, words in SHOWN.items():
        times = "".join(f"{_time(found.server[f'{key} {s}']):>10}" for s in STATISTICS)
        lines.append(f"  {words:<16}{'the server':<22}{times}")
        for name, off in (("calibrated", found.own), ("catalog alone", found.catalog)):
            shares = "".join(f"{100 * off[f'{key} {s}']:>+8.1f} %" for s in STATISTICS)
            lines.append(f"  {'':<16}{name:<22}{shares}")
    data = {
        "calibration": own.model_dump(mode="json"),
        "known_share": found.known,
        "held_back": found.held_back,
        "fitted": {"first_tokens": found.fit.known[0], "ended": found.fit.known[1], "runs": found.fit.runs},
        "judged": {"first_tokens": first, "ended": last},
        "server_s": found.server,
        "error": {"calibrated": found.own, "catalog": found.catalog},
        "gave_way": found.gave_way,
        "warnings": doubts,
    }
    return View("\n".join(lines), data)


def _doubts(found: LoggedCalibration) -> list[str]:
    """What a reader must know before trusting the fit, gravest first."""
    said = []
    times, worst = found.times_catalog, found.worst(found.own)
    if not 1 / DOUBTFUL_FACTOR < times < DOUBTFUL_FACTOR:
        said.append(
            f"A token took {times:.2g} times what the catalog says (median): another model, precision, layout or "
            "accelerator than named?"
        )
    if worst > GOOD:
        said.append(
            f"Off by up to {100 * worst:.0f} %. What binds a server has to be known: are max_num_seqs, "
            "max_num_batched_tokens and the blocks of its cache those of the run?"
        )
    if found.fit.known[1] < FEW:
        said.append(f"Only {found.fit.known[1]} requests had ended in what was fitted; --known fits more of the run.")
    if not found.held_back:
        said.append("Nothing was held back, so nothing says how well it foretells; --known 40% holds the rest back.")
    return said


def _prompts(found: LoggedCalibration) -> str:
    if found.fit.beside:
        return "Prompts multiply on top of the reading of the weights: that explains what was fitted better."
    return "An iteration takes the longer of reading the weights and multiplying, as in the catalog."


def _time(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 1 else f"{1e3 * seconds:,.1f} ms"
