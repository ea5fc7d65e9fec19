"""The choice of a layout against trying everything, the frontier, disaggregation, and what tokens cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampacity.inference.best_layout import Slo, best_layout, choose
from ampacity.inference.candidates import candidates
from ampacity.inference.disaggregated import disaggregated, transfer_s
from ampacity.inference.frontier import frontier
from ampacity.inference.layout import Layout
from ampacity.inference.steady import Load, steady
from ampacity.inference.step_time import StepTime
from ampacity.inference.survey import Survey, operation, survey
from ampacity.inference.token_cost import KINDS, phases, token_cost
from ampacity.scenario.accelerator import Accelerator
from ampacity.scenario.mistakes import Mistakes
from ampacity.scenario.model import Model
from ampacity.scenario.placement import BYTES_PER_NUMBER
from ampacity.scenario.value import Value

On = Callable[..., StepTime]
Models, Chips = Callable[[str], Model], Callable[[str], Accelerator]
LONG = Load(24_000, 1000, 16_000)
CODING = Slo(10.0, 0.05)


@pytest.fixture(scope="module")
def small(model: Models, chip: Chips) -> Survey:
    """Few enough requests fit that all of them can be tried."""
    return survey(model("llama-3.1-70b"), chip("h100-sxm"), LONG)


@pytest.mark.parametrize("slo", [Slo(10.0, 0.05), Slo(3.0, 0.1), Slo(20.0, 1.0), Slo(2.0, 0.02)])
def test_no_batch_of_any_layout_beats_the_choice(small: Survey, slo: Slo) -> None:
    most = 0.0
    for step, held in zip(small.candidates.steps, small.candidates.most, strict=True):
        b = np.arange(1.0, held + 1)
        at = steady(step, LONG, b)
        meets = (at.ttft_s <= slo.ttft_s) & (at.tpot_s <= slo.tpot_s)
        rate = at.output_tokens_per_s / step.replica.accelerators
        most = max(most, float(rate[meets].max(initial=0.0)))
    best = choose(small, slo).best
    assert 0.985 * most <= best.tokens_per_s_per_chip <= most * (1 + 1e-9)
    assert (best.ttft_s <= slo.ttft_s, best.tpot_s <= slo.tpot_s) == (True, True)


def test_what_binds_would_be_broken_by_more(small: Survey) -> None:
    best = choose(small, CODING).best
    assert best.binds == "TPOT"
    assert operation(best.step, LONG, best.requests + 1).tpot_s > CODING.tpot_s
    free = choose(small, Slo()).best
    assert free.binds == "memory"
    assert free.replica.kv_blocks < (free.requests + 1) * -(-LONG.most_context // 16)


@pytest.mark.parametrize(
    ("name", "slo"),
    [
        ("llama-3.1-70b", Slo(0.09, 0.0087)),
        ("gpt-oss-120b", Slo(0.2, 0.005)),
        ("llama-3.1-8b", Slo(1.0, 0.03)),
        ("llama-3.1-8b", Slo(0.4, 0.1)),
        ("llama-3.1-70b", Slo()),
        ("llama-3.1-8b", Slo()),
    ],
)
def test_one_more_request_in_flight_would_break_what_is_said_to_bind(
    model: Models, chip: Chips, name: str, slo: Slo
) -> None:
    s = survey(model(name), chip("h100-sxm"))
    c = choose(s, slo)
    for o in (c.best, *c.others[:5]):
        one_more = operation(o.step, s.load, o.requests + 1)
        row = s.candidates.steps.index(o.step)
        held = o.replica.sequences(s.load.most_context)
        decoded = 1024 * o.replica.layout.data * o.replica.layout.pipeline  # 1,024 by each copy of attention
        broken = {
            "TTFT": one_more.ttft_s > slo.ttft_s,
            "TPOT": one_more.tpot_s > slo.tpot_s,
            "memory": o.requests + 1 > held,
            "sequences": o.requests + 1 > decoded,
            "nothing": one_more.tokens_per_s_per_chip <= o.tokens_per_s_per_chip,
        }
        assert broken[o.binds], (o.binds, str(o.replica.layout), o.requests)
        assert (o.binds == "nothing") <= (not any(broken[w] for w in ("TTFT", "TPOT", "memory", "sequences")))
        assert o.binds not in ("memory", "sequences") or (o.binds == "memory") == (held <= decoded)
        assert s.candidates.by_memory[row] == (held <= decoded)


def test_under_tight_times_the_time_that_binds_is_named(model: Models, chip: Chips) -> None:
    s = survey(model("llama-3.1-70b"), chip("h100-sxm"))
    assert choose(s, Slo(0.09, 0.0087)).best.binds == "TTFT"


def test_the_words_name_the_choice_what_binds_and_what_comes_next(small: Survey) -> None:
    c = choose(small, CODING)
    text = " ".join(c.words)
    assert f"{c.best.replica.layout} ({c.best.replica.accelerators} chips) at {c.best.replica.precision}" in text
    assert "TPOT binds" in text
    assert f"Next comes {c.others[0].replica.layout}" in text
    assert "(weights leave no room for one request)" in text
    assert c.others[0].tokens_per_s_per_chip <= c.best.tokens_per_s_per_chip


@settings(max_examples=15)
@given(
    st.sampled_from(("bytes_per_s", "flops", "memory")),
    st.sampled_from(("llama-3.1-8b", "qwen3-30b-a3b")),
    st.floats(1.1, 3),
)
def test_a_better_chip_never_serves_less(model: Models, chip: Chips, figure: str, name: str, more: float) -> None:
    part = chip("h100-sxm")
    names = {"bytes_per_s": ["hbm_bytes_per_s"], "flops": ["bf16_flops", "fp8_flops"], "memory": ["hbm_bytes"]}[figure]
    better = part.model_copy(update={n: Value(value=getattr(part, n).value * more) for n in names})
    slo = Slo(2.0, 0.04)
    one, other = (best_layout(model(name), x, slo).best.tokens_per_s_per_chip for x in (part, better))
    assert other >= one * 0.98  # batches are tried on a grid


def test_a_service_level_that_nothing_meets_is_answered_with_the_fastest_there_is(small: Survey) -> None:
    with pytest.raises(Mistakes) as err:
        choose(small, Slo(1e-3, 1e-3))
    least = float(small.at.tpot_s.min())
    assert [m.key for m in err.value.mistakes] == ["TPOT", "TTFT"]
    assert f"the fastest that can be had is {1000 * least:.3g} ms" in str(err.value)
    assert choose(small, Slo(tpot_s=least)).best.tpot_s <= least


def test_two_times_that_can_be_had_but_not_together_are_told_apart(model: Models, chip: Chips) -> None:
    """Data parallel attention takes a prompt of DeepSeek R1 soonest, tensor parallel decodes it fastest."""
    s = survey(model("deepseek-r1"), chip("h200-sxm"), Load(4000, 500))
    least = Slo(float(s.at.ttft_s.min()) * 1.01, float(s.at.tpot_s.min()) * 1.01)
    for one in (Slo(ttft_s=least.ttft_s), Slo(tpot_s=least.tpot_s)):
        assert choose(s, one).best.tokens_per_s_per_chip > 0
    with pytest.raises(Mistakes, match="each can be had, but not both: nearest are TTFT"):
        choose(s, least)


def test_the_frontier_is_what_no_other_point_beats_in_both(small: Survey) -> None:
    points = [
        (1 / float(small.at.tpot_s[i]), float(small.tokens_per_s_per_chip[i]))
        for i in np.ndindex(small.at.tpot_s.shape)
    ]
    kept = {(x, y) for x, y in points if not any((u >= x and v >= y) and (u, v) != (x, y) for u, v in points)}
    found = [(o.tokens_per_s_per_user, o.tokens_per_s_per_chip) for o in frontier(small)]
    assert set(found) == kept
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("name", "part"), [("llama-3.1-70b", "h100-sxm"), ("deepseek-r1", "gb200-nvl72")])
def test_both_sides_of_a_disaggregated_deployment_keep_pace(model: Models, chip: Chips, name: str, part: str) -> None:
    s = survey(model(name), chip(part), Load(4000, 500))
    d = disaggregated(s, 3.0, 0.05)
    assert d is not None
    assert d.ttft_s <= 3.0 * (1 + 1e-9)  # the queue is let fill what is left of it
    assert d.tpot_s <= 0.05
    prompts_per_s = d.replicas[0] * d.busy * d.prompts / d.prefill_s
    decoded_per_s = d.replicas[1] * d.decode.requests / d.tpot_s / 500
    one, other = d.prefill.replica.accelerators, d.decode.replica.accelerators
    assert d.chips == d.replicas[0] * one + d.replicas[1] * other
    assert d.tokens_per_s_per_chip * d.chips == pytest.approx(500 * min(prompts_per_s, decoded_per_s))
    # chips divided so that both sides keep pace to the last are the bound of whole replicas
    per_chip = (d.busy * d.prompts / d.prefill_s / one, d.decode.requests / d.tpot_s / 500 / other)
    bound = 500 / (1 / per_chip[0] + 1 / per_chip[1])
    assert 0.9 * bound <= d.tokens_per_s_per_chip <= bound * (1 + 1e-9)
    assert max(d.replicas) <= 8
    assert d.prefill.replica.precision == d.decode.replica.precision


def test_a_cache_crosses_at_the_pace_of_the_side_with_fewer_links(on: On, chip: Chips) -> None:
    """1,000 tokens of Llama 3.1 70B at fp8 are 163.84 MB; two chips of the same node take 450 GB/s each."""
    two, four = (on("llama-3.1-70b", "h100-sxm", Layout(n)).replica for n in (2, 4))
    assert transfer_s(Load(1000, 10), two, four, chip("h100-sxm")) == (pytest.approx(163.84e6 / 2 / 450e9), "scale-up")
    eight = on("llama-3.1-70b", "h100-sxm", Layout(8)).replica
    assert transfer_s(Load(1000, 10), four, eight, chip("h100-sxm")) == (
        pytest.approx(163.84e6 / 4 / 50e9),
        "scale-out",
    )


@settings(max_examples=25)
@given(
    st.sampled_from(("llama-3.1-70b", "deepseek-r1", "gpt-oss-120b", "qwen3.5-397b-a17b")),
    st.sampled_from(("h200-sxm", "b200-sxm", "mi300x")),
    st.sampled_from(("vllm", "sglang")),
    st.integers(1, 400),
    st.sampled_from((Load(), Load(50_000, 300, 48_000), Load(9000, 50, mixed=False))),
)
def test_every_second_is_booked_once_and_no_share_passes_one(
    on: On, chip: Chips, name: str, part: str, engine: str, requests: int, load: Load
) -> None:
    o = operation(on(name, part, 8, engine=engine), load, requests)
    cost = token_cost(o, chip(part))
    tokens = dict(zip(KINDS, (load.uncached_tokens, load.cached_tokens, load.output_tokens), strict=True))
    per_request = sum(cost.chip_s[kind] * tokens[kind] for kind in KINDS) / 1e6
    assert per_request == pytest.approx(load.output_tokens / o.tokens_per_s_per_chip)
    assert all(x >= 0 for x in cost.chip_s.values())
    assert (cost.chip_s["cached_input"] > 0) == (load.cached_tokens > 0)
    for phase in phases(o).values():
        assert 0 < max(phase.mfu, phase.mbu) <= phase.useful * (1 + 1e-9)
        assert phase.useful <= 1
    assert cost.usd is not None
    assert cost.energy_j is not None


def test_a_cached_token_costs_less_than_one_that_is_computed(on: On, chip: Chips) -> None:
    cost = token_cost(operation(on("llama-3.1-70b", "h100-sxm", 8), LONG, 16), chip("h100-sxm"))
    assert 0 < cost.chip_s["cached_input"] < cost.chip_s["uncached_input"] / 3


def test_money_power_and_energy_stand_on_the_figures_of_the_chip(on: On, chip: Chips) -> None:
    """H100: 2.35 USD/h under a one-year contract, 1.73 kW at the facility, 700 W of TDP in 1,275 W of server."""
    o = operation(on("llama-3.1-70b", "h100-sxm", 4), Load(), 64)
    cost = token_cost(o, chip("h100-sxm"))
    assert (cost.price_basis, cost.power_basis) == ("1-year contract", "facility")
    assert cost.usd is not None
    assert cost.usd["output"] == pytest.approx(cost.chip_s["output"] * 2.35 / 3600)
    assert cost.tokens_per_s_per_mw == pytest.approx(o.tokens_per_s_per_chip / 1730 * 1e6)
    assert cost.energy_j is not None
    # prefill at TDP, decoding at 13 % idle + 23 % of the rest, and 42 % of what the server has beyond its chips
    beyond = 0.42 * (1275 - 700)
    decode_w, prefill_w = 700 * (0.13 + 0.87 * 0.23) + beyond, 700 + beyond
    assert cost.energy_j["output"] == pytest.approx(cost.chip_s["output"] * decode_w)
    mean_w = cost.energy_j["uncached_input"] / cost.chip_s["uncached_input"]
    assert decode_w < mean_w < prefill_w


def test_what_is_not_known_of_a_chip_gives_no_figure(on: On, chip: Chips) -> None:
    cost = token_cost(operation(on("llama-3.1-70b", "tpu-8t", 4, "fp4"), Load(), 64), chip("tpu-8t"))
    assert (cost.usd, cost.energy_j, cost.tokens_per_s_per_mw) == (None, None, None)


@pytest.mark.parametrize("part", ["h200-sxm", "b200-sxm"])
def test_every_precision_is_tried_over_the_same_numbers_of_chips(model: Models, chip: Chips, part: str) -> None:
    deepseek = model("deepseek-v3")
    tried = {
        p: {s.replica.accelerators for s in candidates(deepseek, chip(part), Load(), precision=p).steps}
        for p in ("bf16", "fp8")
    }
    assert max(tried["bf16"]) == max(tried["fp8"])
    assert tried["bf16"] <= tried["fp8"]  # wider weights need more chips at least
    best = {p: best_layout(deepseek, chip(part), Slo(2.0, 0.05), precision=p).best for p in tried}
    assert best["fp8"].tokens_per_s_per_chip > best["bf16"].tokens_per_s_per_chip


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("llama-3.1-70b", "h100-sxm", {"bf16", "fp8"}),
        ("llama-3.1-70b", "b200-sxm", {"bf16", "fp8"}),
        ("deepseek-v3", "b200-sxm", {"fp8"}),
        ("kimi-k2.5", "h200-sxm", {"int4"}),
        ("gpt-oss-120b", "b200-sxm", {"fp4"}),
        ("gpt-oss-120b", "h100-sxm", {"fp4"}),
        ("llama-3.1-70b", "tpu-8i", {"fp4"}),  # all that is known of that chip
    ],
)
def test_weights_are_as_published_or_what_engines_commonly_make_of_that(
    model: Models, chip: Chips, name: str, part: str, expected: set[str]
) -> None:
    found = candidates(model(name), chip(part), Load())
    assert {s.replica.precision for s in found.steps} == expected


def test_four_bit_floats_on_a_chip_without_them_are_read_at_four_bits_and_multiplied_at_sixteen(
    model: Models, chip: Chips
) -> None:
    r = best_layout(model("gpt-oss-120b"), chip("h100-sxm"), Slo(2.0, 0.05)).best.replica
    peak = chip("h100-sxm").flops("bf16")
    assert peak is not None
    assert (r.expert_bytes, r.expert_flops_per_s) == (BYTES_PER_NUMBER["fp4"], peak.value)
    with pytest.raises(Mistakes, match="no arithmetic at fp4"):
        best_layout(model("llama-3.1-70b"), chip("h100-sxm"), precision="fp4")


def test_an_answer_with_quantized_weights_says_so(model: Models, chip: Chips) -> None:
    quantized = best_layout(model("llama-3.1-70b"), chip("h100-sxm"), Slo(2.0, 0.05))
    assert "fp8, quantized from bf16" in " ".join(quantized.words)
    as_published = best_layout(model("deepseek-v3"), chip("h200-sxm"), Slo(2.0, 0.05))
    assert "quantized" not in " ".join(as_published.words)


@pytest.mark.parametrize("chips", [2, 5, 8, 12, 24])
@pytest.mark.parametrize("name", ["llama-3.1-70b", "gpt-oss-120b"])
def test_no_whole_replicas_of_one_kind_serve_more_on_the_chips_that_there_are(
    model: Models, chip: Chips, name: str, chips: int
) -> None:
    slo = Slo(2.0, 0.05)
    c = best_layout(model(name), chip("h100-sxm"), slo, chips=chips)
    assert c.replicas * c.best.replica.accelerators + c.left_over == chips
    served = c.replicas * c.best.replica.accelerators * c.best.tokens_per_s_per_chip
    s = survey(model(name), chip("h100-sxm"))
    for row, step in enumerate(s.candidates.steps):
        size = step.replica.accelerators
        meets = (s.at.ttft_s[row] <= slo.ttft_s) & (s.at.tpot_s[row] <= slo.tpot_s)
        assert served >= (chips // size * size * s.tokens_per_s_per_chip[row][meets]).max(initial=0) * (1 - 1e-9)
    assert all(o.replica.accelerators <= chips for o in (c.best, *c.others))
    assert c.disaggregated is None or c.disaggregated.chips <= chips


def test_chips_left_over_and_splits_that_take_more_chips_are_said(model: Models, chip: Chips) -> None:
    twelve = best_layout(model("deepseek-v3"), chip("h200-sxm"), Slo(2.0, 0.05), chips=12)
    assert twelve.left_over == 4
    assert "4 chips left over" in twelve.words[0]
    assert "chips of their own would take more than 12 chips" in " ".join(twelve.words)
    with pytest.raises(
        Mistakes, match=r"no layout of up to 4 chips holds .* the smallest layout that holds both has 8"
    ):
        best_layout(model("deepseek-v3"), chip("h200-sxm"), chips=4)
    with pytest.raises(Mistakes, match="at least 1"):
        best_layout(model("deepseek-v3"), chip("h200-sxm"), chips=0)


def test_the_sentence_on_prefill_apart_gives_what_its_whole_replicas_serve(model: Models, chip: Chips) -> None:
    c = best_layout(model("kimi-k2.5"), chip("h200-sxm"), Slo(2.0, 0.05))
    d = c.disaggregated
    assert d is not None
    more = d.tokens_per_s_per_chip / c.best.tokens_per_s_per_chip - 1
    said = f"({d.chips} chips) would serve {100 * abs(more):.0f} % {'more' if more > 0 else 'less'}: {d.replicas[0]} x "
    assert said in " ".join(c.words)
