"""Shapes in the catalog against the configuration files that it cites, where the package with them is installed."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.catalog_nouns import catalog_model

CITED = re.compile(r"model config (\S+_config\.json) in aiconfigurator-core 0\.12\.0")
CITING = [name for name in lookup.model_names() if CITED.search(lookup.model(name)["source"])]


def config(name: str) -> dict[str, Any]:
    """The cited file, the language part of a model that also sees laid flat."""
    spec = find_spec("aiconfigurator_core")
    if spec is None or spec.origin is None:
        pytest.skip("aiconfigurator-core is not installed")
    cited = CITED.search(lookup.model(name)["source"])
    assert cited is not None
    whole = json.loads((Path(spec.origin).parent / "model_configs" / cited[1]).read_text(encoding="utf-8"))
    return {**whole, **whole.get("text_config", {})}


def first(c: dict[str, Any], *keys: str) -> int:
    """The first of some spellings of one thing; 0 if it has none of them."""
    return next((int(c[k]) for k in keys if c.get(k)), 0)


@pytest.mark.published("configuration files of 24 models in aiconfigurator-core 0.12.0 (Apache-2.0)")
@pytest.mark.parametrize("name", CITING)
def test_a_shape_is_that_of_the_cited_configuration(name: str) -> None:
    c, m = config(name), catalog_model(name)
    mla = first(c, "kv_lora_rank")
    assert {
        "layers": m.layers,
        "hidden": m.hidden,
        "heads": m.heads,
        "kv_heads": m.kv_heads,
        "vocabulary": m.vocabulary,
        "context": m.context_tokens,
        "experts": m.experts,
        "per token": m.experts_per_token,
        "latent": m.kv_latent_dim,
        "indexed": m.sparse_tokens,
        "state": m.state_numbers,
    } == {
        "layers": c["num_hidden_layers"],
        "hidden": c["hidden_size"],
        "heads": c["num_attention_heads"],
        "kv_heads": c["num_key_value_heads"],
        "vocabulary": c["vocab_size"],
        "context": c["max_position_embeddings"],
        "experts": first(c, "n_routed_experts", "num_local_experts", "num_experts"),
        "per token": first(c, "num_experts_per_tok"),
        "latent": mla + first(c, "qk_rope_head_dim") if mla else 0,
        "indexed": first(c, "index_topk"),
        "state": first(c, "linear_num_value_heads")
        * first(c, "linear_key_head_dim")
        * first(c, "linear_value_head_dim"),
    }
    assert m.head_dim == (c["qk_nope_head_dim"] if mla else c.get("head_dim") or m.hidden // m.heads)
    assert m.window_tokens == first(c, "sliding_window", "attention_chunk_size")
    if "layer_types" in c:
        assert m.full_layers == c["layer_types"].count("full_attention")
    assert m.qk_norm == (bool(c.get("use_qk_norm")) or str(c["model_type"]).startswith("qwen3"))


@pytest.mark.published("configuration files of 24 models in aiconfigurator-core 0.12.0 (Apache-2.0)")
@pytest.mark.parametrize("name", CITING)
def test_routed_experts_are_as_many_parameters_as_the_cited_widths_give(name: str) -> None:
    c, m = config(name), catalog_model(name)
    width = first(c, "moe_intermediate_size", "intermediate_size")
    assert m.expert_parameters == pytest.approx(m.moe_layers * m.experts * 3 * m.hidden * width, rel=1e-3)


@pytest.mark.published("quantization_config of the same files")
@pytest.mark.parametrize("name", CITING)
def test_weights_are_published_at_the_precision_of_the_cited_configuration(name: str) -> None:
    method = config(name).get("quantization_config", {}).get("quant_method", "none")
    precision = {"none": "bf16", "fp8": "fp8", "mxfp4": "fp4", "compressed-tensors": "int4"}[method]
    # the vendor of GLM-5 publishes zai-org--GLM-5-FP8_config.json beside the cited file
    expected = "fp8" if name == "glm-5" else precision
    assert catalog_model(name).published_precision == expected
