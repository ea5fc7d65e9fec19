"""`ampacity calibrate serving` on the log of a run: from files and options to a calibration, or to what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ampacity.inference.layout import Layout
from ampacity.inference.replica import replica
from ampacity.inference.step_time import step_time
from ampacity.scenario.calibration_file import read_calibration
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.simulator.engine import PS_PER_S, vllm
from ampacity.simulator.logged_server import catalog_accelerator_of, catalog_model_of
from ampacity.simulator.open_loop import serve_open_loop
from ampacity.simulator.step_table import step_table

Said = Callable[..., tuple[int, str, str]]
SLOWER = 1.25
ASKED = {
    "tensor_parallel_size": 1,
    "max_num_batched_tokens": 2048,
    "max_num_seqs": 64,
    "dtype": "bfloat16",
    "kv_cache_dtype": "auto",
}
META = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "engine_kwargs": ASKED,
    "hardware": {"device_name": "NVIDIA H100 80GB HBM3"},
}
OF = ("--model", "llama-3.1-8b", "--accelerator", "h100-sxm", "--precision", "bf16", "--layout", "TP1")


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """What a server meets that is a quarter slower than the catalog says, and takes 64 sequences at once."""
    r = replica(catalog_model("llama-3.1-8b"), catalog_accelerator("h100-sxm"), "bf16", "bf16", Layout())
    table = step_table(step_time(r, speed=1 / SLOWER), 2048)
    rng = np.random.default_rng(5)
    at_ps = np.cumsum(rng.exponential(PS_PER_S / 30, 120)).astype(np.int64)
    inputs, outputs = rng.integers(100, 2000, 120), rng.integers(100, 300, 120)
    met = serve_open_loop(vllm(r.kv_blocks, 2048, 64), table, at_ps, inputs, outputs, session=np.arange(1, 121))
    keys = ("input_toks", "output_toks", "arrival_time", "queued_ts", "first_token_ts", "last_token_ts")
    columns = (inputs, outputs, *(t / PS_PER_S for t in (at_ps, at_ps, met.first_ps, met.finish_ps)))
    return [json.dumps(dict(zip(keys, (v.item() for v in row), strict=True))) for row in zip(*columns, strict=True)]


@pytest.fixture
def log(rows: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the log, and the `meta.json` beside it, into an empty folder that commands run in."""
    monkeypatch.chdir(tmp_path)

    def write(meta: Any = META, lines: list[str] = rows) -> None:
        (tmp_path / "requests.jsonl").write_text("\n".join(lines) + "\n")
        if meta is not None:
            (tmp_path / "meta.json").write_text(json.dumps(meta))

    return write


def test_a_log_and_its_meta_become_a_calibration_of_what_the_server_was(log: Callable[..., None], said: Said) -> None:
    log()
    code, out, err = said("calibrate", "serving", "requests.jsonl", "--known", "60%", "--json", "found.json")
    assert code == 0, err
    assert out.startswith("llama-3.1-8b bf16 on h100-sxm (one chip, vllm): 120 requests in")
    assert "fitted to the first 60 %" in out
    assert "calibration: my-serving.yaml, max_sequences: 64, token_budget: 2048}" in out
    found = json.loads(Path("found.json").read_text())
    assert max(abs(e) for e in found["error"]["calibrated"].values()) < 0.03
    assert found["error"]["catalog"]["ttft mean"] < -0.15
    own = read_calibration("my-serving.yaml").calibration
    assert (own.model, own.accelerator, own.precision, own.kv_precision) == ("llama-3.1-8b", "h100-sxm", "bf16", "bf16")
    assert own.sources == ("requests.jsonl",)
    assert own.tpot.left_out is not None and own.tpot.left_out < 0.02
    assert own.points == found["fitted"]["ended"] < found["fitted"]["ended"] + found["judged"]["ended"] == 120


def test_a_calibration_of_prompts_beside_reading_comes_back_from_its_file(
    log: Callable[..., None], said: Said, calibration_text: Callable[..., str]
) -> None:
    log(None)
    Path("own.yaml").write_text(calibration_text(prompts_beside_reading=True))
    own = read_calibration("own.yaml").calibration
    r = replica(catalog_model("llama-3.1-70b"), catalog_accelerator("h100-sxm"), "fp8", "fp8", 8)
    plain = own.model_copy(update={"prompts_beside_reading": False})
    beside, longer = (float(step_time(r, calibration=c).seconds(8, 8000, 64)) for c in (own, plain))
    assert beside > longer


def test_without_meta_options_stand_for_all_of_it(log: Callable[..., None], said: Said) -> None:
    log()
    code, with_meta, err = said("calibrate", "serving", "requests.jsonl", "--out", "one.yaml")
    assert code == 0, err
    Path("meta.json").unlink()
    bounds = ("--max-sequences", "64", "--token-budget", "2048")
    code, without, err = said("calibrate", "serving", "requests.jsonl", *OF, *bounds, "--out", "other.yaml")
    assert code == 0, err
    assert Path("one.yaml").read_text() == Path("other.yaml").read_text()
    assert with_meta.split("written")[0] == without.split("written")[0]


def test_what_neither_meta_nor_options_say_is_asked_for_all_at_once(log: Callable[..., None], said: Said) -> None:
    log(None)
    code, _, err = said("calibrate", "serving", "requests.jsonl")
    assert code == 1
    for words in ("meta.json", "--layout states it", "--token-budget states it", "--max-sequences states it"):
        assert words in err
    for option in ("--model", "--accelerator", "--precision"):
        assert f"\n  {option}\n" in err
    assert not Path("my-serving.yaml").exists()


def test_a_card_of_no_catalog_is_described_in_a_scenario(log: Callable[..., None], said: Said) -> None:
    log({**META, "hardware": {"device_name": "NVIDIA GeForce RTX 9090"}})
    code, _, err = said("calibrate", "serving", "requests.jsonl", "--accelerator", "rtx-9090")
    assert code == 1
    assert 'the nearest is "rtx-4090"' in err
    assert "--accelerator my-card --scenario lab.yaml" in err
    card = "vendor: NVIDIA, bf16_dense: 989 TFLOP/s, hbm_size: 80 GB, hbm_bandwidth: 3.35 TB/s"
    Path("lab.yaml").write_text(f"scenario: lab\nextends: laptop\naccelerators: {{my-card: {{{card}}}}}\n")
    of = ("--accelerator", "my-card", "--scenario", "lab.yaml")
    code, out, err = said("calibrate", "serving", "requests.jsonl", *of)
    assert code == 0, err
    assert "on my-card" in out
    with_it = "\ncontracts: {server: {deliveries: [{site: here, accelerator: my-card, quantity: 1}]}}\n"
    placed = "model: llama-3.1-8b, accelerator: my-card, precision: bf16, kv_precision: bf16"
    Path("lab.yaml").write_text(
        Path("lab.yaml").read_text()
        + with_it
        + "tiers: {developers: {model: llama-3.1-8b}, tools: {model: llama-3.1-8b}}\n"
        + f"placements: {{code: {{{placed}, accelerators_per_replica: 1, calibration: my-serving.yaml}}}}\n"
    )
    code, out, err = said("check", "lab.yaml")
    assert code == 0, err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--known", "140%"), "above 0, at most 100%"),
        (("--known", "soon"), "--known"),
        (("--known", "1%"), "a fit needs 10"),
        (("--engine", "sglang"), "such a log is vLLM's"),
        (("--layout", "XP4"), "is no layout"),
        (("--model", "llama-3.1-70"), 'the nearest is "llama-3.1-70b"'),
        (("--kv-blocks", "40"), "never fits into 39 blocks of context"),
        (("--precision", "fp9"), "--precision: fp9"),
    ],
)
def test_what_is_wrong_with_options_of_a_log_is_told(
    log: Callable[..., None], said: Said, options: tuple[str, str], words: str
) -> None:
    log()
    code, _, err = said("calibrate", "serving", "requests.jsonl", *options)
    assert code in (1, 2) and "Traceback" not in err
    assert words in " ".join(err.replace("│", " ").split())
    assert not Path("my-serving.yaml").exists()


def test_a_log_is_calibrated_alone_and_a_file_that_is_there_stays(log: Callable[..., None], said: Said) -> None:
    log()
    Path("other.csv").write_text("isl,osl,concurrency,tpot_ms\n1000,500,1,14\n")
    code, _, err = said("calibrate", "serving", "other.csv", "requests.jsonl")
    assert code == 1 and "the log of a run is calibrated alone; this is one of 2 files" in err
    Path("my-serving.yaml").write_text("old\n")
    code, _, err = said("calibrate", "serving", "requests.jsonl")
    assert code == 1 and "--force replaces it" in err
    assert Path("my-serving.yaml").read_text() == "old\n"


def test_options_of_a_log_are_refused_beside_results(log: Callable[..., None], said: Said) -> None:
    log(None)
    Path("own.csv").write_text("isl,osl,concurrency,tpot_ms\n1000,500,1,14\n")
    code, _, err = said("calibrate", "serving", "own.csv", *OF, "--known", "40%")
    assert code == 2
    assert "only with the log of a run" in " ".join(err.replace("│", " ").split())


def test_a_whole_run_fitted_says_that_nothing_was_held_back(log: Callable[..., None], said: Said) -> None:
    log()
    code, out, err = said("calibrate", "serving", "requests.jsonl", "--known", "100%")
    assert code == 0, err
    assert "Warning: Nothing was held back" in out
    own = read_calibration("my-serving.yaml").calibration
    assert own.tpot.left_out is None and own.tpot.after is not None and own.points == 120


def test_a_server_ten_times_slower_than_the_catalog_is_doubted_first(
    log: Callable[..., None], said: Said, rows: list[str]
) -> None:
    slow = []
    for row in map(json.loads, rows):
        start = row["queued_ts"]
        row["last_token_ts"] = start + 10 * (row["last_token_ts"] - start)
        row["first_token_ts"] = start + 10 * (row["first_token_ts"] - start)
        slow.append(json.dumps(row))
    log(lines=slow)
    code, out, err = said("calibrate", "serving", "requests.jsonl", "--known", "100%")
    assert code == 0, err
    assert "times what the catalog says (median): another model, precision, layout" in out.splitlines()[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_parallel_size": 2}, "data_parallel_size: 2"),
        ({"max_num_seqs": None}, "--max-sequences states it"),
        ({"dtype": "auto"}, "--precision"),
    ],
)
def test_a_server_that_is_not_known_or_not_modelled_is_refused(
    log: Callable[..., None], said: Said, change: dict[str, Any], words: str
) -> None:
    log({**META, "engine_kwargs": {**ASKED, **change}})
    code, _, err = said("calibrate", "serving", "requests.jsonl")
    assert code == 1
    assert words in err


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b"),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", None),
        ("", None),
    ],
)
def test_a_checkpoint_is_the_model_whose_shape_it_has_or_none(stated: str, expected: str | None) -> None:
    assert catalog_model_of(stated) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", None),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm"),
        ("NVIDIA A100-SXM4-40GB", None),
        ("", None),
    ],
)
def test_a_device_is_the_card_whose_number_it_bears_or_none(stated: str, expected: str | None) -> None:
    assert catalog_accelerator_of(stated) == expected
