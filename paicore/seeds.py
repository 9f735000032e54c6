"""Named random generators: a new experiment never shifts another's draws."""

import hashlib

import torch


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator whose stream depends on the seed and the names only.

    Conventions: draws that paired runs share (initial weights, scoring batch, data
    order) leave the method out of the names. Always on the CPU, so that the draws,
    and hence the masks, are the same on every device.

    Args:
        seed: Any integer, the number of the repetition.
        *names: What the stream is for, for example ``"tour", "init"``.

    Returns:
        A fresh ``torch.Generator``, seeded by SHA-256 of ``(seed, *names)``.

    Raises:
        TypeError: `seed` is no integer, or a name is neither text nor integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed: expected an int, got {seed!r}")
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int)):
            raise TypeError(f"names: expected str or int, got {name!r}")
    key = repr((seed, *names)).encode()
    value = int.from_bytes(hashlib.sha256(key).digest()[:8], "little", signed=True)
    return torch.Generator().manual_seed(value)


def check(given: torch.Generator) -> None:
    """Refuse a generator that is none, is torch's own, or lives on a GPU.

    Args:
        given: What was given as the argument `generator`.

    Raises:
        TypeError: it is no generator.
        ValueError: it is the global one, whose draws any other code shifts, or it is
            not on the CPU, where draws are the same for every device.
    """
    if not isinstance(given, torch.Generator):
        raise TypeError(f"generator: expected a torch.Generator, got {given!r}")
    if given is torch.default_generator:
        raise ValueError("generator: expected one of its own, got torch's global one")
    if given.device.type != "cpu":
        raise ValueError(f"generator: expected one on the CPU, got {given.device}")
