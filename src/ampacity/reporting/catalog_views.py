"""Views of the catalog in words: figures as their sources give them, who says so, since when, how sure."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from datetime import date
from typing import Any

from ampacity.reporting.words import digits
from ampacity.scenario import lookup
from ampacity.scenario.mistakes import Mistake, Mistakes, nearest

QUANTITIES = {
    "bf16_dense": "bf16, dense",
    "fp8_dense": "fp8, dense",
    "fp4_dense": "fp4, dense",
    "hbm_size": "memory",
    "hbm_bandwidth": "memory bandwidth",
    "tdp": "TDP (chip)",
    "server_power": "power, server",
    "it_power": "power, IT",
    "facility_power": "power, facility",
    "speed": "speed over the serving model",
    "chip_price": "price",
    "rental_1yr_price": "rental, 1 year",
    "rental_3yr_price": "rental, 3 years",
    "own_neocloud_price": "ownership, neocloud",
    "own_hyperscaler_price": "ownership, hyperscaler",
    "scaleup_bandwidth": "scale-up link",
    "scaleup_world": "scale-up domain",
    "scaleout_bandwidth": "scale-out network",
}


@dataclass(frozen=True)
class View:
    """One thing to look at: as text for people, as data for programs."""

    text: str
    data: dict[str, Any]


def accelerators_view(as_of: date | None) -> View:
    """All accelerators, a line each, with what a planner looks at first."""
    shown = ("bf16_dense", "fp8_dense", "hbm_size", "hbm_bandwidth", "tdp", "server_power")
    lines = [f"  {'':<12} " + " ".join(f"{QUANTITIES[q]:>17}" for q in shown)]
    data = {}
    for name in lookup.accelerator_names():
        known = _known(lookup.accelerator(name), as_of)
        data[name] = known
        cells = [_figure(known[q][-1]) if known.get(q) else "not known" for q in shown]
        lines.append(f"  {name:<12} " + " ".join(f"{c:>17}" for c in cells))
    lines.append("\n  sources and confidence: ampacity show accelerators NAME")
    return View("\n".join(lines), {"as_of": str(as_of) if as_of else None, "accelerators": data})


def accelerator_view(name: str, as_of: date | None) -> View:
    """One accelerator with every claim about it. Raises Mistakes for an unknown name."""
    fields = lookup.accelerator(name)
    if not fields:
        raise _unknown("accelerators", name, lookup.accelerator_names())
    known = _known(fields, as_of)
    lines = [f"{name} · {fields['vendor']} {fields['system']} · {fields['availability']}"]
    for quantity, words in QUANTITIES.items():
        claims = known.get(quantity, [])
        if not claims:
            lines.append(f"\n  {words:<22} not known" + (f" on {as_of}" if as_of else ""))
        for i, claim in enumerate(claims):
            lines += ["", *_claim_lines(words if i == 0 else "", claim)]
    about = {k: fields[k] for k in ("vendor", "system", "availability")}
    return View("\n".join(lines), {"accelerator": name, **about, "claims": known})


def models_view() -> View:
    """All models, a line each."""
    heads = ("total", "active", "layers", "attention", "context")
    lines = [f"  {'':<26} " + " ".join(f"{h:>9}" for h in heads) + "  status"]
    for row in lookup.table("models"):
        size = [digits(float(row[f"parameters_{k}"]) / 1e9) + " B" for k in ("total", "active")]
        layers = f"{row['full_layers']}/{row['layers']}" if row["full_layers"] else row["layers"]
        cells = [*size, layers, row["attention"], row["context_tokens"]]
        lines.append(f"  {row['model']:<26} " + " ".join(f"{c:>9}" for c in cells) + f"  {row['status']}")
    lines.append("\n  layers 15/60: 15 of 60 attend to the whole context, the others to a window or a fixed state")
    lines.append("  shape and source: ampacity show models NAME")
    return View("\n".join(lines), {"models": {name: lookup.model(name) for name in lookup.model_names()}})


def model_view(name: str) -> View:
    """One model's shape and where it is published. Raises Mistakes for an unknown name."""
    fields = lookup.model(name)
    if not fields:
        raise _unknown("models", name, lookup.model_names())
    tail = ("source", "note", "status", "confidence")
    lines = [f"{name} · {fields.get('vendor', '')} · {fields.get('architecture', '')}", ""]
    lines += [f"  {key.replace('_', ' '):<22} {value}" for key, value in fields.items() if key not in tail]
    lines += ["", *_wrapped("source", f"{fields.get('status')}: {fields.get('source')} ({fields.get('confidence')})")]
    if fields.get("note"):
        lines += _wrapped("note", fields["note"])
    return View("\n".join(lines), {"model": name, **fields})


def _known(fields: dict[str, Any], as_of: date | None) -> dict[str, list[dict[str, Any]]]:
    """The claims known on a day, oldest first."""
    claims = {q: fields[q] for q in QUANTITIES if q in fields}
    if as_of is None:
        return claims
    return {q: [c for c in cs if date.fromisoformat(c["known_since"]) <= as_of] for q, cs in claims.items()}


def _figure(claim: dict[str, Any]) -> str:
    unit = {"1": "", "count": ""}.get(claim["unit"], claim["unit"])
    if "value" in claim:
        return f"{_plain(claim['value'])} {unit}".strip()
    return f"{_plain(claim['low'])} to {_plain(claim['high'])} {unit}".strip()


def _plain(x: float) -> str:
    """Up to four significant figures, without zeros that say nothing."""
    text = digits(x, 4)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _claim_lines(words: str, claim: dict[str, Any]) -> list[str]:
    both = "value" in claim and "low" in claim
    interval = f" ({_plain(claim['low'])} to {_plain(claim['high'])})" if both else ""
    basis = f", {claim['basis']}" if claim.get("basis") else ""
    lines = [f"  {words:<22} {_figure(claim)}{interval}{basis}"]
    who = claim.get("who") or "nobody named"
    said = f"{claim['status']} by {who}, known since {claim['known_since']}, confidence {claim['confidence']}"
    lines += _wrapped("", f"{said}: {claim.get('source', '')}")
    if claim.get("reason"):
        lines += _wrapped("", claim["reason"])
    return lines


def _wrapped(word: str, text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=f"  {word:<22} ", subsequent_indent=" " * 25)


def _unknown(kind: str, name: str, names: tuple[str, ...]) -> Mistakes:
    return Mistakes([Mistake("catalog", 0, kind, name, f"nothing of that name; {nearest(name, names)}")])
