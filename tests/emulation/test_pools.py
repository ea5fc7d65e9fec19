"""What is emulated of a scenario is what the twin serves it with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ampacity.emulation.pools import serving_pools
from ampacity.scenario.load import load
from ampacity.simulator.model_cell import context_most, pool_of, serving
from ampacity.supply.capacity import capacities
from ampacity.supply.delivery import hours_of

TWO_POOLS = """\
      - {site: here, accelerator: h100-sxm, quantity: 3}
      - {site: here, accelerator: h200-sxm, quantity: 4}
"""
TWO_PLACEMENTS = """\
  code: {model: llama-3.1-8b, accelerator: h100-sxm, precision: fp8, accelerators_per_replica: 1, alias: claude-code}
  large: {model: llama-3.1-70b, accelerator: h200-sxm, precision: fp8, accelerators_per_replica: 2, max_sequences: 64}
"""


def test_each_placement_on_each_pool_has_the_replicas_and_the_engine_of_the_twin(scenario_file: Path) -> None:
    text = scenario_file.read_text()
    lines = text.splitlines(keepends=True)
    (delivery,) = (line for line in lines if "quantity: 1}" in line)
    (placement,) = (line for line in lines if line.startswith("  code: "))
    path = scenario_file.with_name("two-pools.yaml")
    path.write_text(text.replace(delivery, TWO_POOLS).replace(placement, TWO_PLACEMENTS))
    s = load(path)
    code, large = serving_pools(s)
    assert (code.name, code.replicas.replicas, code.slots) == ("server/here/h100-sxm", 3, 3 * 1024)
    assert (large.name, large.replicas.replicas, large.slots) == ("server/here/h200-sxm", 2, 2 * 64)
    assert code.names == ("claude-code", "llama-3.1-8b", "code")
    assert large.names == ("llama-3.1-70b", "large")
    supply = capacities(s, hours_of(s))
    assert (code.replicas, large.replicas) == tuple(pool_of(p) for p in supply)
    assert code.context_most == s.model("llama-3.1-8b").context_tokens
    assert large.context_most <= context_most(serving(supply, "llama-3.1-70b")) + 16


def test_more_replicas_than_are_emulated_are_refused_in_words(scenario_file: Path) -> None:
    path = scenario_file.with_name("many.yaml")
    path.write_text(scenario_file.read_text().replace("quantity: 1}", "quantity: 2000}"))
    with pytest.raises(ValueError, match="2000 replicas; at most 1024"):
        serving_pools(load(path))
