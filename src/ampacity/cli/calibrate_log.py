"""`ampacity calibrate serving requests.jsonl`: from the log of a server's run to a calibration, in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ampacity.scenario.mistakes import Mistake, Mistakes

if TYPE_CHECKING:
    from ampacity.inference.replica import Replica
    from ampacity.reporting.catalog_views import View
    from ampacity.scenario.accelerator import Accelerator
    from ampacity.scenario.model import Model
    from ampacity.scenario.scenario import Scenario
    from ampacity.scenario.spelling import Spelling
    from ampacity.simulator.logged_server import LoggedEngine

META = "meta.json"
ENGINE = "vllm"
DESCRIBE = (
    "describe another one in a scenario and name both, --accelerator my-card --scenario lab.yaml, which has "
    "accelerators: {my-card: {vendor: NVIDIA, bf16_dense: 165 TFLOP/s, hbm_size: 24 GB, hbm_bandwidth: 1 TB/s}}"
)


@dataclass(frozen=True)
class Said:
    """What the options say of the server; None where `meta.json` is to say it. scenario: one that describes models and
    accelerators that the catalog does not have."""

    model: str | None = None
    accelerator: str | None = None
    layout: str | None = None
    engine: str = ENGINE
    precision: str | None = None
    kv_precision: str | None = None
    max_sequences: int | None = None
    token_budget: int | None = None
    kv_blocks: int | None = None
    scenario: str | None = None


def logs_among(files: list[str]) -> bool:
    """Whether any file is the log of a run. Raises Mistakes if it is, and is not alone."""
    from ampacity.simulator.logged_run import is_logged_run

    logs = [f for f in files if is_logged_run(Path(f))]
    if logs and len(files) > 1:
        why = f"the log of a run is calibrated alone; this is one of {len(files)} files"
        raise Mistakes([Mistake(Path(logs[0]).name, 0, "file", "", why)])
    return bool(logs)


def known_share(text: str) -> float:
    """`--known` as a share. Raises typer.BadParameter."""
    from ampacity.base.units import UnitError, to_base

    try:
        known = to_base(text, "share")
    except UnitError as err:
        raise typer.BadParameter(f'"{text}": {err}', param_hint="--known") from err
    if not 0 < known <= 1:
        raise typer.BadParameter(f'"{text}": above 0, at most 100%', param_hint="--known")
    return known


def logged(file: str, said: Said, known: float, out: Path, *, force: bool) -> View:
    """Fit a calibration to the log of a run and write it; a file that is there only with `force`. Raises Mistakes."""
    from ampacity.base.calendar import today
    from ampacity.base.files import write_whole
    from ampacity.inference.own_calibration import as_yaml
    from ampacity.reporting.catalog_views import View
    from ampacity.reporting.logged_run_view import logged_view
    from ampacity.simulator.logged_calibration import logged_calibration
    from ampacity.simulator.logged_run import read_logged_run

    path = Path(file)
    if out.exists() and not force:
        message = "is there already; --force replaces it, another --out keeps it"
        raise Mistakes([Mistake(out.name, 0, "file", "", message)])
    server, unit, kv = _server(path, said)
    run = read_logged_run(path)
    try:
        found = logged_calibration(run, unit, server.engine(unit), kv, today(), known)
    except ValueError as err:
        if isinstance(err, Mistakes):
            raise
        message = f"{err}; --known, --layout and --kv-blocks bear on it"
        raise Mistakes([Mistake(path.name, 0, "fit", "", message)]) from err
    write_whole(out, as_yaml(found.calibration, found.fit.catalog, found.fit.costs))
    view = logged_view(found)
    bounds = f"max_sequences: {server.max_seqs}, token_budget: {server.token_budget}"
    bounds += "" if server.blocks is None else f", kv_blocks: {server.blocks}"
    following = f"\n\n  written  {out}     use it with the bounds of that server:"
    following += f"\n           placements: {{main: {{calibration: {out.name}, {bounds}}}}}"
    return View(view.text + following, {**view.data, "file": str(out)})


def _server(path: Path, said: Said) -> tuple[LoggedEngine, Replica, str]:
    """What served, from `meta.json` beside the log and from options, which go before it: its rules, the replica, and
    the precision of its cache. Raises Mistakes with all that is wrong or that nobody says."""
    from ampacity.inference.layout_text import layout_from
    from ampacity.inference.replica import replica, usual_kv
    from ampacity.scenario.spelling import Spelling
    from ampacity.simulator.logged_server import read_logged_engine

    names = Spelling("options")
    if said.engine.lower() != ENGINE:
        names.wrong.append(Mistake("options", 0, "--engine", said.engine, "such a log is vLLM's; leave the option out"))
    stated = {
        "max_num_batched_tokens": said.token_budget,
        "max_num_seqs": said.max_sequences,
        "num_gpu_blocks": said.kv_blocks,
    }
    meta: LoggedEngine | None = None
    try:
        meta = read_logged_engine(path.parent / META, stated, said.layout)
    except Mistakes as err:
        names.wrong += err.mistakes
    model, chip = _model(names, meta, said), _chip(names, meta, said)
    precision = said.precision or (meta.precision if meta else None)
    if precision is not None:
        precision = names.precision(precision, "--precision")
    else:
        names.wrong.append(Mistake("options", 0, "--precision", "", _not_said("bf16, fp8, fp4 or int4")))
    kv = said.kv_precision or (meta.kv_precision if meta else None) or usual_kv(precision or "bf16")
    kv = names.kv_precision(kv, "--kv-precision")
    names.check()
    assert meta is not None and model is not None and chip is not None and precision is not None
    try:
        layout = layout_from(meta.layout, model)
    except ValueError as err:
        raise Mistakes([Mistake("options", 0, "--layout", meta.layout, str(err))]) from err
    try:
        return meta, replica(model, chip, precision, kv, layout, ENGINE, meta.blocks, meta.max_seqs), kv
    except ValueError as err:
        raise Mistakes([Mistake("options", 0, "--precision", precision, str(err))]) from err


def _model(names: Spelling, meta: LoggedEngine | None, said: Said) -> Model | None:
    """The model that is named, by the options or without doubt by the log; None, and a mistake, if none is."""
    from ampacity.scenario.catalog_nouns import catalog_model
    from ampacity.simulator.logged_server import catalog_model_of

    logged = meta.model if meta else ""
    name = said.model or catalog_model_of(logged)
    if name is None:
        names.wrong.append(Mistake("options", 0, "--model", logged, _not_said("one that `ampacity show models` lists")))
        return None
    own = _scenario(said)
    if own is not None and any(m.name == name for m in own.models):
        return own.model(name)
    before = len(names.wrong)
    name = names.model(name, "--model")
    return catalog_model(name) if len(names.wrong) == before else None


def _chip(names: Spelling, meta: LoggedEngine | None, said: Said) -> Accelerator | None:
    """The accelerator that is named, likewise."""
    from ampacity.scenario.catalog_nouns import catalog_accelerator
    from ampacity.simulator.logged_server import catalog_accelerator_of

    logged = (meta.device if meta else None) or ""
    name = said.accelerator or catalog_accelerator_of(logged)
    if name is None:
        why = _not_said(f"one that `ampacity show accelerators` lists; {DESCRIBE}")
        names.wrong.append(Mistake("options", 0, "--accelerator", logged, why))
        return None
    own = _scenario(said)
    if own is not None and any(a.name == name for a in own.accelerators):
        return own.accelerator(name)
    before = len(names.wrong)
    name = names.accelerator(name, "--accelerator")
    if len(names.wrong) == before:
        return catalog_accelerator(name)
    last = names.wrong.pop()
    names.wrong.append(replace(last, message=f"{last.message}; {DESCRIBE}"))
    return None


def _scenario(said: Said) -> Scenario | None:
    from ampacity.scenario.load import load

    return load(said.scenario) if said.scenario is not None else None


def _not_said(which: str) -> str:
    return f"{META} beside the log does not say it beyond doubt; state {which}"
