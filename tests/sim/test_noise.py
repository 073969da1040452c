from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_sim.noise import Stream, device_keys, key_of, normal_of, uniform_of


def test_the_hash_is_splitmix64() -> None:
    """First outputs of the reference implementation for the seed 1234567."""
    from fleet_sim.noise import counted

    golden = 0x9E3779B97F4A7C15
    seeds = np.array([(1234567 + golden) % 2**64], dtype=np.uint64)
    outputs = [int(counted(seeds, np.array([n]))[0]) for n in range(3)]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_depend_on_seed_device_stream_and_tick_and_on_nothing_else() -> None:
    ids = [f"d{i}" for i in range(50)]
    all_of_them = Stream(device_keys(1, ids), "noise")
    rows, ticks = np.arange(50), np.arange(100, 150)
    together = all_of_them.uniform(rows, ticks)
    for row in (0, 7, 49):
        alone = Stream(device_keys(1, [ids[row]]), "noise")
        assert alone.uniform(np.array([0]), ticks[row : row + 1])[0] == together[row]
    order = np.random.default_rng(0).permutation(50)
    assert (all_of_them.uniform(order, ticks[order]) == together[order]).all()
    assert not (Stream(device_keys(2, ids), "noise").uniform(rows, ticks) == together).any()
    assert not (Stream(device_keys(1, ids), "other").uniform(rows, ticks) == together).any()
    assert not (all_of_them.uniform(rows, ticks + 1) == together).any()


def test_keys_do_not_change_between_versions() -> None:
    assert key_of(42, "frz-00007") == 0x10A0E7AF93B2D0A2
    assert key_of(42, "frz-00008") != key_of(42, "frz-00007")


def test_uniform_and_normal_have_their_distributions() -> None:
    keys = device_keys(3, [f"d{i}" for i in range(500)])
    rows = np.repeat(np.arange(500), 400)
    ticks = np.tile(np.arange(400), 500)
    stream = Stream(keys, "x")
    uniform = stream.uniform(rows, ticks)
    assert 0 <= uniform.min() < 1e-4
    assert 1 - 1e-4 < uniform.max() < 1
    counts = np.histogram(uniform, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 160  # chi² with 99 degrees of freedom: p ≈ 1e-4
    normal = stream.normal(rows, ticks)
    assert abs(normal.mean()) < 0.01
    assert normal.std() == pytest.approx(1, abs=0.01)
    assert abs(normal).max() <= 4.1
    by_device = normal.reshape(500, 400)
    assert abs(np.corrcoef(by_device[:, :-1].ravel(), by_device[:, 1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(by_device[:-1].ravel(), by_device[1:].ravel())[0, 1]) < 0.01


@given(st.floats(0.0002, 0.9998))
def test_normal_is_the_quantile(uniform: float) -> None:
    assert normal_of(np.array([uniform]))[0] == pytest.approx(NormalDist().inv_cdf(uniform), abs=0.02)


def test_normal_is_symmetric() -> None:
    uniform = np.linspace(0.001, 0.499, 1000)
    assert np.allclose(normal_of(uniform), -normal_of(1 - uniform), atol=1e-12)


def test_neighbouring_seeds_are_strangers() -> None:
    ticks = np.zeros(4000, dtype=np.int64)
    draws = [uniform_of(device_keys(seed, [f"d{i}" for i in range(4000)]), "x", ticks) for seed in (1, 2)]
    assert abs(np.corrcoef(draws[0], draws[1])[0, 1]) < 0.06
