"""What a model on an accelerator serves, in words: the best layout and why, what else, money, energy, error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ampacity.inference.best_layout import Choice, Slo, choose, ms
from ampacity.inference.frontier import frontier
from ampacity.inference.steady import Load
from ampacity.inference.survey import Operation, Survey, survey
from ampacity.inference.token_cost import (
    KINDS,
    PRICES,
    TokenCost,
    not_known,
    phases,
    price_usd_per_s,
    shared_price,
    token_cost,
)
from ampacity.reporting.catalog_views import View
from ampacity.reporting.serving_errors_view import expected_error
from ampacity.reporting.words import digits, share, tokens
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.calibration import Calibration
from ampacity.scenario.calibration_file import CalibrationFile
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.spelling import Spelling

LAYOUTS, FRONTIER = 8, 10
"""Rows that the tables show."""
WORDS = {"uncached_input": "uncached input", "cached_input": "cached input", "output": "output"}
ENGINES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}


@dataclass(frozen=True)
class Served:
    """A model on one accelerator: everything that was surveyed, what was chosen, and the frontier.

    calibration: one's own that all times come from; None: they are the catalog's.
    """

    survey: Survey
    choice: Choice
    frontier: tuple[Operation, ...]
    calibration: Calibration | None = None


def served(
    model: str,
    accelerators: list[str],
    load: Load,
    slo: Slo,
    engine: str = "vllm",
    precision: str | None = None,
    chips: int | None = None,
    calibrated: CalibrationFile | None = None,
) -> list[Served | Mistakes]:
    """What each accelerator serves, or why it does not. chips: that there are; absent: as many as it takes.
    calibrated: one's own calibration of one of them; the others are as the catalog has them, at its precision.

    Raises Mistakes for names that nothing has, and for a calibration of something else.
    """
    names = Spelling("show serving")
    model, engine = names.model(model), names.engine(engine)
    accelerators = list(dict.fromkeys(names.accelerator(name) for name in accelerators))
    precision = None if precision is None else names.precision(precision)
    names.check()
    own = None if calibrated is None else calibrated.calibration
    if calibrated is not None and own is not None:
        part = None if own.accelerator in accelerators else ", ".join(accelerators)
        if wrong := calibrated.not_as_asked(model=model, accelerator=part, engine=engine, precision=precision):
            raise Mistakes(wrong)
        precision = own.precision
    shape = catalog_model(model)
    found: list[Served | Mistakes] = []
    for name in accelerators:
        chip = catalog_accelerator(name)
        try:
            by = own if own is not None and own.accelerator == name else None
            s = survey(shape, chip, load, engine, precision, chips, by)
            found.append(Served(s, choose(s, slo), frontier(s), by))
        except Mistakes as err:
            found.append(err)
    return found


def serving_view(results: list[Served | Mistakes]) -> View:
    """One accelerator in full, or several in a line each. Raises Mistakes if none of them serves."""
    wrong = [m for r in results if isinstance(r, Mistakes) for m in r.mistakes]
    right = [r for r in results if isinstance(r, Served)]
    if not right:
        raise Mistakes(wrong)
    if len(results) == 1:
        return View(_text(right[0]), _data(right[0]))
    price = shared_price([r.survey.chip for r in right])
    lines = [_headline(right[0], name=False), "", _table_of_chips(right, price)]
    lines += [f"\n  {m.file}: {m.key} {m.found}; {m.message}" for m in wrong]
    lines += ["", *(f"  {r.survey.chip.name}: {_label(r)}" for r in right)]
    data = {"accelerators": [_data(r, price) for r in right], "cannot": [m.as_text() for m in wrong]}
    return View("\n".join(lines), data)


def _text(r: Served) -> str:
    o, chip = r.choice.best, r.survey.chip
    cost = token_cost(o, chip)
    lines = [_headline(r), ""]
    lines += [f"  {sentence}" for sentence in r.choice.words]
    lines.append(
        f"  Each request: TTFT {ms(o.ttft_s)}, TPOT {ms(o.tpot_s)}, {digits(o.tokens_per_s_per_user)} tokens/s."
    )
    lines += ["", f"  money      {_money(cost, chip)}", f"  energy     {_energy(cost)}"]
    for name, phase in phases(o).items():
        word = "useful" if name == "decode" else ""
        what = {"all": "all time at work", "decode": "the time of decoding", "prefill": "the time of prefill"}[name]
        detail = f"MFU {share(phase.mfu)}, MBU {share(phase.mbu)}"
        lines.append(f"  {word:<10} {share(phase.useful)} of {what} is useful ({detail})")
    lines.append(f"  label      {_label(r)}")
    if missing := not_known(chip):
        lines.append(f"  not known  {', '.join(missing)}")
    lines += ["", *_layout_rows(r), "", *_frontier_rows(r)]
    lines.append("\n  errors of the model: ampacity show serving --errors     picture: --out FILE.html")
    return "\n".join(lines)


def _headline(r: Served, name: bool = True) -> str:
    load, slo, c = r.survey.load, r.choice.slo, r.choice.best.coefficients
    engine = r.choice.best.replica.engine
    cached = f" ({load.cached_tokens:,} of them cached)" if load.cached_tokens else ""
    drafts = f" · {load.draft_tokens} drafts, {share(load.acceptance)} accepted" if load.draft_tokens else ""
    level = f"TTFT {ms(slo.ttft_s)}, TPOT {ms(slo.tpot_s)}"
    on = f" on {r.survey.chip.name}" if name else ""
    version = f" {c.version}" if c.version else ""
    return (
        f"{r.survey.model.name}{on} · {load.input_tokens:,} tokens in{cached}, {load.output_tokens:,} out{drafts} · "
        f"{ENGINES[engine]}{version} · {level}"
    )


def _money(cost: TokenCost, chip: Accelerator) -> str:
    if cost.usd is None:
        return "no price of this accelerator is known"
    price, basis = price_usd_per_s(chip)
    assert price is not None
    parts = [f"{digits(cost.usd[kind], 2)} {WORDS[kind]}" for kind in KINDS if cost.usd[kind]]
    at = f"at {digits(price * 3600)} USD per chip and hour ({basis}), at full load, every chip busy"
    return f"USD per million tokens: {', '.join(parts)}; {at}"


def _energy(cost: TokenCost) -> str:
    parts = []
    if cost.tokens_per_s_per_mw is not None:
        parts.append(f"{tokens(cost.tokens_per_s_per_mw)} output tokens/s per MW of {cost.power_basis} nameplate")
    if cost.energy_j is not None:
        each = [f"{digits(cost.energy_j[kind] / 1e6, 2)} {WORDS[kind]}" for kind in KINDS if cost.energy_j[kind]]
        parts.append(f"J per token, of servers in use, modelled: {', '.join(each)}")
    return "   ".join(parts) or "no power of this accelerator is known"


def _label(r: Served) -> str:
    o = r.choice.best
    text = f"{o.coefficients.label}: {expected_error(o, r.calibration).words}"
    if o.replica.layout.pipeline > 1:
        text += "; no measured point has a pipeline, so its times are arithmetic"
    return text


def _layout_rows(r: Served) -> list[str]:
    best = [r.choice.best, *r.choice.others][:LAYOUTS]
    rows = [("layout", "weights", "chips", "in flight", "TTFT", "TPOT", "tokens/s per chip", "held by")]
    rows += [
        (
            str(o.replica.layout),
            o.replica.precision,
            str(o.replica.accelerators),
            f"{o.requests:,}",
            ms(o.ttft_s),
            ms(o.tpot_s),
            digits(o.tokens_per_s_per_chip),
            o.binds,
        )
        for o in best
    ]
    d = r.choice.disaggregated
    if d is not None:
        shown = f"{d.replicas[0]} x {d.prefill.replica.layout} + {d.replicas[1]} x {d.decode.replica.layout}"
        rate = digits(d.tokens_per_s_per_chip)
        weights = d.prefill.replica.precision
        rows.append((shown, weights, str(d.chips), "", ms(d.ttft_s), ms(d.tpot_s), rate, "prefill apart"))
    return _table(rows)


def _frontier_rows(r: Served) -> list[str]:
    found = r.frontier
    few = [found[round(i * (len(found) - 1) / (FRONTIER - 1))] for i in range(FRONTIER)] if len(found) > 1 else found
    rows = [("tokens/s per user", "tokens/s per chip", "TTFT", "in flight", "weights", "layout")]
    rows += [
        (
            digits(o.tokens_per_s_per_user),
            digits(o.tokens_per_s_per_chip),
            ms(o.ttft_s),
            f"{o.requests:,}",
            o.replica.precision,
            str(o.replica.layout),
        )
        for o in dict.fromkeys(few)
    ]
    return _table(rows)


def _table_of_chips(right: list[Served], price: str | None) -> str:
    """A line an accelerator. price: the basis that all have; a column tells them apart where there is none."""
    money = f"USD/M output ({PRICES[price]})" if price else "USD/M output"
    heads = ("", "layout", "weights", "in flight", "tokens/s per chip", "TPOT", money)
    rows = [(*heads, *(() if price else ("price",)), "tokens/s per MW", "held by")]
    for r in right:
        o = r.choice.best
        cost = token_cost(o, r.survey.chip, price)
        rows.append(
            (
                r.survey.chip.name,
                str(o.replica.layout),
                o.replica.precision,
                f"{o.requests:,}",
                digits(o.tokens_per_s_per_chip),
                ms(o.tpot_s),
                digits(cost.usd["output"], 2) if cost.usd else "not known",
                *(() if price else (cost.price_basis,)),
                tokens(cost.tokens_per_s_per_mw) if cost.tokens_per_s_per_mw else "not known",
                o.binds,
            )
        )
    return "\n".join([*_table(rows), "\n  money: at full load, every chip busy"])


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]


def _data(r: Served, price: str | None = None) -> dict[str, Any]:
    o, chip, s = r.choice.best, r.survey.chip, r.survey
    cost, error = token_cost(o, chip, price), expected_error(o, r.calibration)
    d = r.choice.disaggregated
    slo = {
        k: v if v != float("inf") else None
        for k, v in (("ttft_s", r.choice.slo.ttft_s), ("tpot_s", r.choice.slo.tpot_s))
    }
    return {
        "model": s.model.name,
        "accelerator": chip.name,
        "engine": o.replica.engine,
        "version": o.coefficients.version,
        "load": {k: getattr(s.load, k) for k in s.load.__dataclass_fields__},
        "slo": slo,
        "label": o.coefficients.label,
        "expected_error": {
            "split": error.split,
            "tpot_median": error.median,
            "tpot_p90": error.p90,
            "ttft_median": error.ttft_median,
            "ttft_p90": error.ttft_p90,
            "words": error.words,
        },
        "calibration": None if r.calibration is None else r.calibration.model_dump(mode="json"),
        "not_known": not_known(chip),
        "words": list(r.choice.words),
        "best": _operation(o),
        "chips": r.choice.chips,
        "replicas": r.choice.replicas,
        "left_over": r.choice.left_over,
        "phases": {name: vars(phase) for name, phase in phases(o).items()},
        "cost": {
            "accelerator_s_per_mtok": cost.chip_s,
            "usd_per_mtok": cost.usd,
            "price_basis": cost.price_basis,
            "server_j_per_mtok": cost.energy_j,
            "output_tokens_per_s_per_mw": cost.tokens_per_s_per_mw,
            "power_basis": cost.power_basis,
            "prefill_share": cost.prefill_share,
        },
        "disaggregated": None
        if d is None
        else {
            "prefill": str(d.prefill.replica.layout),
            "decode": str(d.decode.replica.layout),
            "precision": d.prefill.replica.precision,
            "replicas": list(d.replicas),
            "chips": d.chips,
            "transfer_s": d.transfer_s,
            "link": d.link,
            "ttft_s": d.ttft_s,
            "tpot_s": d.tpot_s,
            "tokens_per_s_per_chip": d.tokens_per_s_per_chip,
        },
        "layouts": [_operation(x) for x in (o, *r.choice.others)],
        "frontier": [_operation(x) for x in r.frontier],
    }


def _operation(o: Operation) -> dict[str, Any]:
    layout = o.replica.layout
    return {
        "layout": str(layout),
        **{name: getattr(layout, name) for name in ("tensor", "data", "pipeline", "expert")},
        "accelerators": o.replica.accelerators,
        "precision": o.replica.precision,
        "requests": o.requests,
        "kv_blocks": o.replica.kv_blocks,
        "ttft_s": o.ttft_s,
        "tpot_s": o.tpot_s,
        "tokens_per_s_per_chip": o.tokens_per_s_per_chip,
        "tokens_per_s_per_user": o.tokens_per_s_per_user,
        "binds": o.binds,
    }
