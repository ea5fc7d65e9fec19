"""The catalog's models against themselves: parameter counts, shapes and names must tell one story."""

from __future__ import annotations

import re

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.catalog_nouns import catalog_model
from ampacity.scenario.model import Model

MODELS = [catalog_model(n) for n in lookup.model_names()]
REAL = [m for m in MODELS if m.status != "assumed"]
MOE = [m for m in REAL if m.experts]
# latent and linear attention have inner widths that are not fields, so their parameters cannot be counted from here
COUNTED = [m for m in REAL if m.attention != "mla" and not m.state_numbers]

NAMED_WITHOUT_A_SIZE = ("deepseek-", "glm-", "kimi-", "llama-4-", "minimax-", "mixtral-8x")


def named(m: Model) -> str:
    return m.name


def expert_width(m: Model) -> float:
    """Inner width of one expert: gate, up and down projections."""
    return m.expert_parameters / (m.moe_layers * m.experts * 3 * m.hidden)


def attention_parameters(m: Model) -> float:
    """Query, key, value and output projections of all layers."""
    return m.layers * 2 * m.hidden * m.head_dim * (m.heads + m.kv_heads)


def last_digit(count: float) -> int:
    """What one step of the last figure that is not zero is worth: 10 for 120."""
    digits = str(int(count))
    return int(10 ** (len(digits) - len(digits.rstrip("0"))))


def outside_dense_blocks(m: Model) -> float:
    """Routed and shared experts, routers, attention and both ends: all but the dense layers' feed-forward blocks."""
    beside_experts = (
        m.moe_layers * m.hidden * (m.experts + 3 * m.shared_experts * expert_width(m)) if m.experts else 0.0
    )
    return m.expert_parameters + beside_experts + attention_parameters(m) + 2 * m.head_parameters


def test_the_catalog_has_27_models() -> None:
    assert len(MODELS) == len(set(lookup.model_names())) == 27


@pytest.mark.parametrize("m", MOE, ids=named)
def test_experts_have_a_width_that_hardware_likes(m: Model) -> None:
    """A wrong layer, expert or hidden count gives a width that no one would build."""
    assert expert_width(m) == pytest.approx(64 * round(expert_width(m) / 64), abs=3)


@pytest.mark.parametrize("m", COUNTED, ids=named)
def test_what_a_shape_leaves_over_is_the_feed_forward_blocks_of_its_dense_layers(m: Model) -> None:
    """Total less all that the shape counts is a whole width, or nothing where every layer has experts."""
    left = m.parameters_total - outside_dense_blocks(m)
    if m.dense_layers == 0:
        assert abs(left) < 2e-3 * m.parameters_total
        return
    per_width = m.dense_layers * 3 * m.hidden
    rounded = last_digit(m.parameters_total) / 2 / per_width  # totals as published have three or four figures
    assert left / per_width == pytest.approx(256 * round(left / per_width / 256), abs=2 + rounded)


@pytest.mark.parametrize("m", REAL, ids=named)
def test_active_parameters_are_all_but_the_experts_that_a_token_is_not_routed_to(m: Model) -> None:
    """With or without the input embedding, which is looked up and not multiplied; vendors count either way."""
    idle = m.expert_parameters * (1 - m.experts_per_token / m.experts) if m.experts else 0.0
    with_input = m.parameters_total - idle
    ways = (with_input, with_input - m.head_parameters)
    assert any(m.parameters_active == pytest.approx(way, rel=0.025) for way in ways)


@pytest.mark.parametrize("m", REAL, ids=named)
def test_a_model_is_as_large_as_its_name_says(m: Model) -> None:
    said = re.search(r"-(\d+)b(?:-a(\d+)b)?$", m.name)
    if said is None:
        assert m.name.startswith(NAMED_WITHOUT_A_SIZE)
        return
    assert m.parameters_total / 1e9 == pytest.approx(float(said[1]), rel=0.05)
    if said[2]:
        assert m.parameters_active / 1e9 == pytest.approx(float(said[2]), rel=0.11)


def test_columns_of_long_contexts_reach_the_noun() -> None:
    shape = {m.name: m for m in MODELS}
    assert shape["llama-3.1-8b"].whole_layers == 32
    assert not shape["llama-3.1-8b"].qk_norm
    gpt, qwen, glm = shape["gpt-oss-120b"], shape["qwen3.5-397b-a17b"], shape["glm-5"]
    assert (gpt.whole_layers, gpt.layers, gpt.window_tokens) == (18, 36, 128)
    assert (qwen.whole_layers, qwen.layers, qwen.state_numbers, qwen.qk_norm) == (15, 60, 64 * 128 * 128, True)
    assert (glm.kv_latent_dim, glm.sparse_tokens, glm.dense_layers) == (576, 2048, 3)


@pytest.mark.parametrize("m", MODELS, ids=named)
def test_a_model_says_what_its_attention_keeps(m: Model) -> None:
    assert (m.whole_layers < m.layers) == bool(m.window_tokens or m.state_numbers)
    assert not (m.window_tokens and m.state_numbers)
    if m.attention != "mla":
        assert (m.attention == "mha") == (m.kv_heads == m.heads)
    assert m.source
    assert m.released is not None or m.status == "assumed"
