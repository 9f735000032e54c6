"""What the checks of all exercises share: how a mistake is recognised and named.

A check calls the student's function on small cases and compares with a definition that
is written out here a second time: slow and obvious, and without any score or kernel of
`paicore`. Where the answer differs, it is compared with the answers of common
mistakes, the *suspects*, and the first that fits gives the message.
"""

import torch

TOLERANCE = 1e-6


class Mistake(AssertionError):
    """A wrong answer; the text says what is likely wrong."""


def generator(seed, offset=0):
    """Source of a check's random cases."""
    return torch.Generator().manual_seed(1000 * seed + offset)


def tensors(value):
    """The tensors of an argument: itself, or those of a list, tuple or dict."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return tensors(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [each for part in value for each in tensors(part)]
    return []


def call(function, *arguments):
    """Call the student's function and see that it leaves its arguments alone."""
    before = [each.detach().clone() for each in tensors(arguments)]
    result = function(*arguments)
    name = getattr(function, "__name__", "the function")
    if result is None:
        raise Mistake(f"{name} returns None: is there a return?")
    for old, new in zip(before, tensors(arguments), strict=True):
        if not torch.equal(old, new.detach()):
            raise Mistake(
                f"{name} changes the tensors that it is given: work on a copy, and "
                "beware of methods that end in an underscore"
            )
    return result


def listed(value):
    """A tensor, number, list or dict as a list of tensors."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        value = [value]
    return [torch.as_tensor(each).detach() for each in value]


def form(got, expected, what):
    """Refuse an answer of another kind: container, length, shape or type."""
    if isinstance(expected, dict):
        if not isinstance(got, dict) or list(got) != list(expected):
            raise Mistake(f"{what}: expected a dict with the keys {list(expected)}")
    elif isinstance(expected, list) and (
        not isinstance(got, (list, tuple)) or len(got) != len(expected)
    ):
        raise Mistake(f"{what}: expected a list of {len(expected)} tensors")
    for a, b in zip(listed(got), listed(expected), strict=True):
        if a.shape != b.shape:
            shapes = f"{tuple(b.shape)}, got {tuple(a.shape)}"
            raise Mistake(f"{what}: expected shape {shapes}")
        if (a.dtype == torch.bool) != (b.dtype == torch.bool):
            raise Mistake(f"{what}: expected {b.dtype}, got {a.dtype}")
        if not torch.isfinite(a.double()).all():
            raise Mistake(f"{what}: holds NaN or infinity")


def same(got, expected, tolerance=TOLERANCE):
    """Whether all entries agree, relative to the largest one of their tensor."""
    pairs = list(zip(listed(got), listed(expected), strict=True))
    return all(
        a.shape == b.shape
        and (a.double() - b.double()).abs().max() <= tolerance * b.double().abs().max()
        for a, b in pairs
        if b.numel()
    )


def explain(got, expected, suspects, what, tolerance=TOLERANCE):
    """Pass a right answer; else say which mistake it looks like.

    Args:
        got: The student's answer.
        expected: The right one: tensor, number, list or dict of tensors.
        suspects: dict from a message to the answer that this mistake gives.
        what: What was computed, for the message.
        tolerance: Largest difference, relative to the largest entry.

    Raises:
        Mistake: the answer is wrong.
    """
    form(got, expected, what)
    if same(got, expected, tolerance):
        return
    for message, wrong in suspects.items():
        wrong = wrong() if callable(wrong) else wrong
        if not same(wrong, expected, tolerance) and same(got, wrong, tolerance):
            raise Mistake(f"{what}: {message}")
    raise Mistake(f"{what}: {difference(got, expected)}")


def difference(got, expected):
    """Say where two answers differ first, in words."""
    pairs = list(zip(listed(got), listed(expected), strict=True))
    for k, (a, b) in enumerate(pairs):
        if same([a], [b]):
            continue
        place = f" of tensor {k}" if len(pairs) > 1 else ""
        apart = (a.double() - b.double()).abs().flatten()
        at = int(apart.argmax())
        index = f" at flat index {at}" if a.ndim else ""
        return (
            f"expected {b.flatten()[at].item():.6g}{index}{place}, "
            f"got {a.flatten()[at].item():.6g}"
        )
    return "differs from the definition"


def correct(what):
    """Say that a check has passed."""
    print(f"{what}: correct")
