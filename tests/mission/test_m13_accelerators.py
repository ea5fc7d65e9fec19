"""M13: tokens per second on GPUs, TPUs and Trainium, with the error of the estimate."""

from __future__ import annotations

from typing import Any


def test_every_kind_of_accelerator_has_a_rate_with_an_interval(announced: Any) -> None:
    rates = {x["accelerator"]: x["output_low"] < x["output"] < x["output_high"] for x in announced["serving"]}
    assert rates == dict.fromkeys(("h100-sxm", "h200-sxm", "gb200-nvl72", "tpu-v7", "trainium2"), True)


def test_one_command_serves_a_model_on_chips_of_four_vendors_and_says_how_far_off_it_may_be(served: Any) -> None:
    found = {x["accelerator"]: x for x in served["accelerators"]}
    labels = {name: x["label"] for name, x in found.items()}
    measured = {"h100-sxm", "h200-sxm", "b200-sxm"}
    assert {name for name, label in labels.items() if label == "measured fit"} == measured
    assert labels["a100-sxm"] == "scaled from family"
    assert {labels[name] for name in ("tpu-v7", "trainium2", "mi300x")} == {"datasheet only"}
    for x in found.values():
        assert x["best"]["tokens_per_s_per_chip"] > 100
        assert x["best"]["tpot_s"] <= x["slo"]["tpot_s"]
        assert "TPOT" in x["expected_error"]["words"] or "not measured" in x["expected_error"]["words"]
    assert found["b200-sxm"]["best"]["tokens_per_s_per_chip"] > found["h100-sxm"]["best"]["tokens_per_s_per_chip"]
