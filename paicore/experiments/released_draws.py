"""The random draws of the released runs, so that our code can be held to their log.

fmi-basel/neural-tangent-transfer draws its teachers and its random baseline with JAX
from keys 1 and 2 and key 0, and its validation split and the order of its batches with
NumPy from seeds 9 and 0. JAX's generator is a counter through the block cipher
Threefry-2x32 (Salmon et al. 2011), 20 rounds, which is short enough to write down.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from paicore.masks import Masks

WORD = np.uint32
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = WORD(0x1BD11BDA)
SPLIT_SEED, ORDER_SEED, SHUFFLE_KEY = 9, 0, 0
CUT = 0.87962566103423978  # standard deviation of a normal cut at two deviations


def key(seed: int) -> np.ndarray:
    """Return JAX's key of a seed: two words."""
    return np.array([seed >> 32, seed & 0xFFFFFFFF], WORD)


def threefry(of: np.ndarray, counter: np.ndarray) -> np.ndarray:
    """Encrypt counters, the first half of them with the second, as JAX pairs them.

    Args:
        of: Key, two words.
        counter: Words (n,); a zero makes their number even.

    Returns:
        Words (n,).
    """
    odd = len(counter) % 2
    first, second = np.concatenate([counter, np.zeros(odd, WORD)]).reshape(2, -1)
    keys = (of[0], of[1], of[0] ^ of[1] ^ PARITY)
    first, second = first + keys[0], second + keys[1]
    for turn in range(5):
        for by in ROTATIONS[turn % 2]:
            first = first + second
            second = (second << WORD(by)) | (second >> WORD(32 - by))
            second = second ^ first
        first = first + keys[(turn + 1) % 3]
        second = second + keys[(turn + 2) % 3] + WORD(turn + 1)
    return np.concatenate([first, second])[: len(counter)]


def words(of: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return random words of a shape."""
    return threefry(of, np.arange(math.prod(shape), dtype=WORD)).reshape(shape)


def split(of: np.ndarray) -> np.ndarray:
    """Return two keys, (2, 2), that follow from one."""
    return words(of, (2, 2))


def uniform(of: np.ndarray, shape: tuple[int, ...], low: float = 0.0) -> np.ndarray:
    """Return float32 numbers in [low, 1): 23 random bits each."""
    bits = (words(of, shape) >> WORD(9)) | WORD(0x3F800000)
    unit = bits.view(np.float32) - np.float32(1)
    return np.maximum(np.float32(low), unit * np.float32(1 - low) + np.float32(low))


def normal(of: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return standard normal numbers, float64, by the inverse error function."""
    above = float(np.nextafter(np.float32(-1), np.float32(0)))
    drawn = torch.from_numpy(uniform(of, shape, above).astype(np.float64))
    return math.sqrt(2) * torch.erfinv(drawn)


def cut_normal(of: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    """Return normal numbers cut at two standard deviations, float64."""
    edge = math.erf(math.sqrt(2))
    drawn = torch.from_numpy(uniform(of, shape).astype(np.float64))
    return math.sqrt(2) * torch.erfinv(edge * (2 * drawn - 1))


def teacher_(net: nn.Module, seed: int) -> nn.Module:
    """Give a network of dense layers the released teacher's parameters, in place.

    Conventions: one key per layer, activations included, split off in turn. Weights
    are Glorot normal, cut at two deviations; biases normal with deviation 0.01.

    Args:
        net: MLP whose activations stand between its Linear layers.
        seed: Of the released run: 1 or 2.

    Returns:
        The network.

    Source: nt_transfer/nn_models.py of the released code, jax.experimental.stax.
    """
    rest = key(seed)
    for module in (each for each in net.modules() if isinstance(each, nn.Linear)):
        rest, own = split(rest)
        of_weight, of_bias = split(own)
        shape = (module.in_features, module.out_features)
        scale = math.sqrt(2 / sum(shape)) / CUT
        with torch.no_grad():
            module.weight.copy_(scale * cut_normal(of_weight, shape).T)
            module.bias.copy_(0.01 * normal(of_bias, shape[1:]))
        rest, _ = split(rest)  # the activation has a key as well
    return net


def shuffled(masks: Masks) -> Masks:
    """Shuffle masks of dense layers as the released `rand` does: along the inputs."""
    return Masks({name: _shuffled(mask) for name, mask in masks.items()})


def _shuffled(mask: Tensor) -> Tensor:
    """Sort by random words along the inputs, as often as JAX thinks it needs."""
    lines, rest = mask.cpu().numpy().T, key(SHUFFLE_KEY)  # (in, out), as there
    for _ in range(math.ceil(3 * math.log(lines.size) / math.log(2**32 - 1))):
        rest, own = split(rest)
        order = np.argsort(words(own, lines.shape), axis=0, kind="stable")
        lines = np.take_along_axis(lines, order, axis=0)
    return torch.from_numpy(np.ascontiguousarray(lines.T)).to(mask.device)


def images(n: int) -> np.ndarray:
    """Return the indices of all training images in the order of the released split.

    The first are held out for validation.
    """
    order = list(range(n))
    np.random.RandomState(SPLIT_SEED).shuffle(order)  # C: this legacy generator
    return np.array(order)


def order(epoch: int, n: int) -> Tensor:
    """Return the order of the batches in an epoch of the released first run."""
    draws = np.random.RandomState(ORDER_SEED)
    for _ in range(epoch + 1):
        found = draws.permutation(n)
    return torch.from_numpy(found)
