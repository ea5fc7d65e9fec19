"""A log that the engine itself wrote: what it came from is found again, and what is wrong with a log is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from ampacity.inference.own_fit import SHIFTS, shifted_costs
from ampacity.inference.replica import Replica, replica
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.model import Model
from ampacity.simulator.engine import PS_PER_S, Engine, vllm
from ampacity.simulator.logged_run import errors, read_logged_run, replayed
from ampacity.simulator.logged_run_fit import calibration_of, catalog_costs, fit_run, table_of
from ampacity.simulator.logged_server import read_logged_engine
from ampacity.simulator.open_loop import serve_open_loop

CLOCK_S, WAIT_S = 1_777_142_838.25, 0.003


@pytest.fixture
def one(model: Callable[[str], Model], chip: Callable[[str], Accelerator]) -> Replica:
    return replica(model("llama-3.1-8b"), chip("h100-sxm"), "bf16", "bf16", 1)


def write_log(path: Path, r: Replica, engine: Engine, shifts: dict[str, float], count: int = 160) -> None:
    """A log of an engine whose costs differ from the catalog's; its two clocks begin at different instants."""
    rng = np.random.default_rng(5)
    x = np.array([shifts.get(name, 0.0) for name in SHIFTS])
    table = table_of(r, shifted_costs(catalog_costs(r), x), engine.token_budget)
    at = np.cumsum(rng.exponential(PS_PER_S / 14, count)).astype(np.int64)
    at -= at[0]
    inputs, outputs = rng.integers(100, 3000, count), rng.integers(200, 600, count)
    s = serve_open_loop(engine, table, at, inputs, outputs, session=np.arange(1, count + 1))
    keys = ("input_toks", "output_toks", "arrival_time", "queued_ts", "first_token_ts", "last_token_ts")
    columns = (
        inputs,
        outputs,
        at / PS_PER_S + CLOCK_S,
        *((t / PS_PER_S + WAIT_S) for t in (at, s.first_ps, s.finish_ps)),
    )
    rows = [dict(zip(keys, (v.item() for v in row), strict=True)) for row in zip(*columns, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_the_engine_wrote_it_meets_again(tmp_path: Path, one: Replica) -> None:
    engine = vllm(one.kv_blocks, 2048, 64)
    write_log(tmp_path / "log.jsonl", one, engine, {})
    run = read_logged_run(tmp_path / "log.jsonl")
    found, _ = replayed(run, engine, table_of(one, catalog_costs(one), 2048))
    assert len(run) == 160
    assert all(abs(e) < 1e-3 for e in errors(run, found).values())


def test_a_fit_to_the_first_half_finds_how_much_slower_a_server_is_and_foretells_the_rest(
    tmp_path: Path, one: Replica
) -> None:
    engine = vllm(one.kv_blocks, 2048, 64)
    write_log(tmp_path / "log.jsonl", one, engine, {"all": 0.25, "dense_compute": 0.3, "decode_memory": -0.2})
    run = read_logged_run(tmp_path / "log.jsonl")
    known_s = run.end_s / 2
    before, _ = replayed(run, engine, table_of(one, catalog_costs(one), 2048))
    f = fit_run(run, one, engine, known_s)
    after, _ = replayed(run, engine, f.table(2048))
    assert errors(run, before, known_s)["ttft mean"] < -0.3
    assert max(abs(e) for e in errors(run, after, known_s).values()) < 0.03
    named = calibration_of(f, run, engine, known_s, "bf16", date(2026, 11, 22))
    assert named.tpot.left_out is not None and named.tpot.before is not None
    assert named.tpot.left_out < 0.02 < named.tpot.before


def test_a_fit_reads_nothing_that_came_later(tmp_path: Path, one: Replica) -> None:
    engine = vllm(one.kv_blocks, 2048, 64)
    write_log(tmp_path / "whole.jsonl", one, engine, {"all": 0.2})
    whole = read_logged_run(tmp_path / "whole.jsonl")
    known_s = float(whole.arrival_s[110])
    lines = (tmp_path / "whole.jsonl").read_text().splitlines()
    later = [json.loads(line) for line in lines[111:]]
    for row in later:
        row["last_token_ts"] += 100.0
    (tmp_path / "other.jsonl").write_text("\n".join([*lines[:111], *map(json.dumps, later)]) + "\n")
    other = read_logged_run(tmp_path / "other.jsonl")
    assert (fit_run(whole, one, engine, known_s).shifts == fit_run(other, one, engine, known_s).shifts).all()


def test_a_fit_asks_for_ten_requests_that_have_ended(tmp_path: Path, one: Replica) -> None:
    engine = vllm(one.kv_blocks, 2048, 64)
    write_log(tmp_path / "log.jsonl", one, engine, {}, count=12)
    run = read_logged_run(tmp_path / "log.jsonl")
    with pytest.raises(ValueError, match=r"0 requests had ended 0\.1 s on; a fit needs 10"):
        fit_run(run, one, engine, 0.1)


def test_every_row_that_is_not_whole_is_named(tmp_path: Path, one: Replica) -> None:
    path = tmp_path / "log.jsonl"
    write_log(path, one, vllm(one.kv_blocks, 2048, 64), {}, count=5)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    del rows[1]["first_token_ts"]
    rows[3]["output_toks"] = -4
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(Mistakes) as told:
        read_logged_run(path)
    assert [(m.line, m.key) for m in told.value.mistakes] == [(2, "first_token_ts"), (4, "output_toks")]
    rows[1]["first_token_ts"], rows[3]["output_toks"] = rows[1]["queued_ts"] - 1, 1
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(Mistakes) as told:
        read_logged_run(path)
    assert [m.key for m in told.value.mistakes] == ["first_token_ts", "output_toks"]


def test_the_file_beside_a_log_says_what_bounds_an_iteration(tmp_path: Path, one: Replica) -> None:
    path = tmp_path / "meta.json"
    asked = {"tensor_parallel_size": 2, "max_num_batched_tokens": 2048, "max_num_seqs": 128}
    path.write_text(json.dumps({"model": "meta-llama/Llama-3.1-8B", "engine_kwargs": asked}))
    found = read_logged_engine(path)
    assert (found.layout, found.blocks) == ("TP2", None)
    assert found.engine(one) == vllm(one.kv_blocks, 2048, 128)
    path.write_text(
        json.dumps({"model": "m", "engine_kwargs": {**asked, "max_num_seqs": None, "tensor_parallel_size": 0}})
    )
    with pytest.raises(Mistakes) as told:
        read_logged_engine(path)
    assert len(told.value.mistakes) == 2
    path.write_text("[]")
    with pytest.raises(Mistakes, match="LLMServingSim"):
        read_logged_engine(path)
