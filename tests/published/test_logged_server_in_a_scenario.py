"""From the log of a real server to its calibration, and from there through a scenario: what the rest of the run met."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ampacity.demand.traces.read import read
from ampacity.reporting.simulated import simulate
from ampacity.scenario.load import load
from ampacity.simulator.logged_run import Times, errors, read_logged_run

Said = Callable[..., tuple[int, str, str]]
CITED = "LLMServingSim bench/examples, logs of vLLM 0.19.0: Llama 3.1 8B on RTX PRO 6000 and RTX 4090, Qwen3 32B on two"
RUNS = {
    "rtxpro6000_llama-3.1-8b": ("llama-3.1-8b", "rtx-pro-6000", 1, {"max_sequences": 128}),
    "rtxpro6000_qwen3-32b": ("qwen3-32b", "rtx-pro-6000", 2, {"max_sequences": 128}),
    "rtx4090_llama-3.1-8b": ("llama-3.1-8b", "rtx-4090", 1, {"max_sequences": 256, "kv_blocks": 2588}),
}
KNOWN = 0.4


@pytest.mark.published(CITED)
@pytest.mark.parametrize("name", RUNS)
def test_a_scenario_with_the_calibration_of_the_first_40_percent_foretells_the_rest_within_5_percent(
    name: str, shared: Callable[[str], Path], said: Said, tmp_path: Path
) -> None:
    model, card, chips, bounds = RUNS[name]
    log = shared(f"vllm_logs/{name}/requests.jsonl")
    own = tmp_path / "own.yaml"
    code, _, err = said("calibrate", "serving", str(log), "--accelerator", card, "--known", "40%", "--out", str(own))
    assert code == 0, err
    placed = {"calibration": "own.yaml", "accelerators_per_replica": chips, "token_budget": 2048, **bounds}
    (tmp_path / "lab.yaml").write_text(
        "scenario: lab\nextends: laptop\n"
        f"contracts: {{server: {{deliveries: [{{site: here, accelerator: {card}, quantity: {chips}}}]}}}}\n"
        f"tiers: {{developers: {{model: {model}}}, tools: {{model: {model}}}}}\n"
        f"placements: {{code: {{model: {model}, accelerator: {card}, precision: bf16, kv_precision: bf16, "
        + ", ".join(f"{key}: {value}" for key, value in placed.items())
        + "}}\n"
    )
    met = simulate(load(tmp_path / "lab.yaml"), trace=read(log)).requests()
    run = read_logged_run(log)
    assert met["input_tokens"].to_list() == run.input_tokens.tolist()
    found = Times(*(met[key].to_numpy().astype(np.float64) / 1e12 for key in ("first_token_ps", "finished_ps")))
    told = errors(run, found, KNOWN * run.end_s)
    assert max(abs(off) for key, off in told.items() if not key.startswith("latency")) < 0.05, told
