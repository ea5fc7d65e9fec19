"""Power by phase, and the chain from server to IT to facility. The chain is arithmetic, so it is held here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampacity.physics.power import IDLE_SHARE, accelerator_power_w, on_basis, server_power_w

shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: sum(pair) <= 1)


@given(st.floats(0, 3000), shares)
def test_an_accelerator_draws_between_idle_and_its_tdp(tdp_w: float, share: tuple[float, float]) -> None:
    drawn = float(accelerator_power_w(tdp_w, *share))
    assert tdp_w * IDLE_SHARE * (1 - 1e-12) <= drawn <= tdp_w * (1 + 1e-12)


def test_an_accelerator_idles_at_an_eighth_of_its_tdp_and_prefill_takes_all_of_it() -> None:
    assert float(accelerator_power_w(700.0, 0.0, 0.0)) == pytest.approx(91.0)
    assert float(accelerator_power_w(700.0, 1.0, 0.0)) == pytest.approx(700.0)


def test_an_h200_in_decode_draws_between_137_and_300_watt() -> None:
    assert 137 < float(accelerator_power_w(700.0, 0.0, 1.0)) < 300


@given(st.floats(0.01, 1.0))
def test_a_second_of_prefill_draws_more_than_one_of_decode_and_that_more_than_idling(share: float) -> None:
    idle, decode, prefill = accelerator_power_w(700.0, [0.0, 0.0, share], [0.0, share, 0.0])
    assert idle < decode < prefill


@pytest.mark.parametrize(("prefill", "decode"), [(-0.1, 0.5), (0.5, -0.1), (0.7, 0.4), ([0.1, 0.9], [0.1, 0.2])])
def test_shares_of_time_that_cannot_be_are_refused(prefill: float, decode: float) -> None:
    with pytest.raises(ValueError, match="shares of time"):
        accelerator_power_w(700.0, prefill, decode)


@given(shares, st.floats(700, 2000))
def test_a_server_draws_no_more_than_its_nameplate(share: tuple[float, float], nameplate_w: float) -> None:
    chip = accelerator_power_w(700.0, *share)
    drawn = float(server_power_w(chip, 700.0, nameplate_w))
    assert float(chip) <= drawn <= nameplate_w * (1 + 1e-12)


def test_a_nameplate_below_the_tdp_takes_nothing_away() -> None:
    assert float(server_power_w(500.0, 700.0, 650.0)) == 500.0


@given(st.floats(0, 1e9), st.floats(1, 1.5), st.floats(1, 2))
def test_facility_over_it_is_the_pue_and_it_over_server_is_the_rest_of_the_room(
    w: float, it: float, pue: float
) -> None:
    server, at_it, facility = (float(on_basis(w, basis, it, pue)) for basis in ("server", "it", "facility"))
    assert server == w
    assert at_it == pytest.approx(w * it)
    assert facility == pytest.approx(at_it * pue)


def test_an_unknown_basis_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="rack"):
        on_basis(1.0, "rack", 1.1, 1.2)


def test_power_comes_in_the_shape_of_its_arguments() -> None:
    assert accelerator_power_w(np.full((3, 1), 700.0), np.zeros(4), np.zeros(4)).shape == (3, 4)
