"""Everything that the catalog knows fits the nouns that scenarios are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from ampacity.scenario import lookup
from ampacity.scenario.accelerator import PRECISIONS
from ampacity.scenario.catalog_nouns import catalog_accelerator, catalog_model
from ampacity.scenario.load import load
from ampacity.scenario.mistakes import Mistakes

# what each chip computes in, as its vendor publishes it: an absent figure is never guessed
PUBLISHED = {
    "a100-sxm": {"bf16"},
    "h100-sxm": {"bf16", "fp8"},
    "b200-sxm": {"bf16", "fp8", "fp4"},
    "mi300x": {"bf16", "fp8"},
}


def test_the_catalog_has_20_accelerators() -> None:
    assert len(lookup.accelerator_names()) == len(set(lookup.accelerator_names())) == 20


@pytest.mark.parametrize("name", lookup.accelerator_names())
def test_every_accelerator_is_a_noun(name: str) -> None:
    chip = catalog_accelerator(name)
    flops = [f.value for p in PRECISIONS if (f := chip.flops(p)) is not None]
    assert flops == sorted(flops), "a lower precision is never slower"
    assert chip.tdp_w is None or 100 < chip.tdp_w.value < 5000
    assert chip.hbm_bytes is None or 16e9 <= chip.hbm_bytes.value < 2e12


@pytest.mark.parametrize(("name", "precisions"), PUBLISHED.items())
def test_a_chip_has_the_precisions_that_were_published(name: str, precisions: set[str]) -> None:
    chip = catalog_accelerator(name)
    assert {p for p in PRECISIONS if chip.flops(p) is not None} == precisions


@pytest.mark.parametrize("name", lookup.model_names())
def test_every_model_is_a_noun(name: str) -> None:
    model = catalog_model(name)
    assert model.kv_numbers_per_token() > 0
    assert model.parameters_active <= model.parameters_total


@pytest.mark.parametrize(
    ("noun", "name", "words"),
    [
        (catalog_model, "llama-3.1-70", r'nothing of that name; the nearest is "llama-3\.1-70b"'),
        (catalog_accelerator, "h100-sx", 'nothing of that name; the nearest is "h100-sxm"'),
    ],
)
def test_a_noun_that_the_catalog_does_not_know_is_answered_with_the_nearest(
    noun: Callable[[str], object], name: str, words: str
) -> None:
    with pytest.raises(Mistakes, match=words):
        noun(name)


def test_an_accelerator_of_a_day_has_the_latest_claims_of_that_day() -> None:
    claims = lookup.accelerator("h100-sxm")["rental_1yr_price"]
    assert len(claims) > 1
    found = {c["known_since"]: c["value"] for c in claims}
    for day, usd_per_h in found.items():
        price = catalog_accelerator("h100-sxm", date.fromisoformat(day)).rental_1yr_usd_per_s
        assert price is not None and price.value == pytest.approx(usd_per_h / 3600)
    latest = catalog_accelerator("h100-sxm").rental_1yr_usd_per_s
    assert latest is not None and latest.value == pytest.approx(found[max(found)] / 3600)


def test_what_the_catalog_does_not_know_is_empty() -> None:
    assert lookup.accelerator("abacus") == lookup.model("abacus") == lookup.behaviour("abacus") == {}
    assert lookup.grid_carbon("abacus") == []


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", lookup.accelerator_names())
def test_a_placement_takes_the_precisions_that_its_accelerator_has(name: str, precision: str) -> None:
    chip = catalog_accelerator(name)
    sets = [
        f"contracts.server.deliveries.0.accelerator={name}",
        f"placements.code.accelerator={name}",
        f"placements.code.precision={precision}",
    ]
    complete = None not in (chip.hbm_bytes, chip.hbm_bytes_per_s)
    if chip.flops(precision) is not None and complete:
        assert load("laptop", sets=sets).placements[0].precision == precision
        return
    with pytest.raises(Mistakes) as raised:
        load("laptop", sets=sets)
    keys = {m.key for m in raised.value.mistakes}
    assert ("placements.code.precision" in keys) == (chip.flops(precision) is None)
    assert keys <= {"placements.code.precision", "placements.code.accelerator"}
