"""The released runs' draws: known answers of the cipher, and what follows from it."""

import math

import numpy as np
import pytest
import torch

from paicore import nets, prune, seeds
from paicore.experiments import released_draws as draws
from paicore.transfer import shuffled_along_axis0

ONES = 2**32 - 1


def mlp():
    made = {"classes": 10, "in_shape": (1, 28, 28), "generator": seeds.generator(0)}
    return nets.build("lenet_300_100", **made)


@pytest.mark.parametrize(
    ("of", "counter", "answer"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((ONES, ONES), (ONES, ONES), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_threefry_gives_the_known_answers_of_its_authors(of, counter, answer):
    words = (np.array(each, draws.WORD) for each in (of, counter))
    assert draws.threefry(*words).tolist() == list(answer)


def test_uniform_numbers_are_those_of_jax():
    found = draws.uniform(draws.key(0), (3,))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [0.9653214, 0.31468165, 0.63302994], rtol=1e-6)


def test_an_odd_number_of_words_is_the_start_of_an_even_one():
    of = draws.key(5)
    # the halves are paired, so a longer draw is another one: only the padding is free
    padded = np.array([0, 1, 2, 0], draws.WORD)
    odd = draws.threefry(of, padded[:3])
    assert odd.tolist() == draws.threefry(of, padded)[:3].tolist()


def test_teachers_have_the_stated_moments_and_differ_by_key():
    one, two = (draws.teacher_(mlp(), seed) for seed in (1, 2))
    for name, value in one.named_parameters():
        value = value.detach()
        assert not torch.equal(value, dict(two.named_parameters())[name])
        if name.endswith("bias"):
            assert 0.5 < float(value.std()) / 0.01 < 1.5
            continue
        scale = math.sqrt(2 / sum(value.shape))
        assert float(value.square().mean().sqrt()) == pytest.approx(scale, rel=0.05)
        assert float(value.abs().max()) <= 2 * scale / draws.CUT + 1e-6


def test_the_same_key_gives_the_same_teacher():
    one, again = (draws.teacher_(mlp(), 1).state_dict() for _ in range(2))
    assert all(torch.equal(value, again[name]) for name, value in one.items())


def test_shuffled_masks_keep_the_inputs_of_each_unit_as_the_library_does():
    masks = prune(mlp(), "magnitude", density=0.03, scope="layerwise")
    found, ours = draws.shuffled(masks), shuffled_along_axis0(masks)
    for name, mask in masks.items():
        assert torch.equal(found[name].sum(1), mask.sum(1))
        assert torch.equal(found[name].sum(1), ours[name].sum(1))
        assert not torch.equal(found[name], mask)


def test_orders_are_permutations_that_follow_from_one_stream():
    first, second = draws.order(0, 50), draws.order(1, 50)
    stream = np.random.RandomState(draws.ORDER_SEED)
    for found in (first, second):
        assert found.tolist() == stream.permutation(50).tolist()
    assert sorted(draws.images(50)) == list(range(50))
