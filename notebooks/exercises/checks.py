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
    after = tensors(arguments)
    if len(before) != len(after) or not all(map(torch.equal, before, after)):
        raise Mistake(
            f"{name} changes what it is given: work on a copy, and beware of methods "
            "that end in an underscore"
        )
    if any(each.requires_grad or each.grad is not None for each in after):
        raise Mistake(
            f"{name} makes leaves of the tensors that it is given, where gradients of "
            "several calls add up: take w.detach().clone().requires_grad_()"
        )
    return result


def listed(value):
    """A tensor, number, list or dict as a list of tensors."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        value = [value]
    # a Python float in full: torch would make it float32
    kinds = [torch.float64 if isinstance(each, float) else None for each in value]
    pairs = zip(value, kinds, strict=True)
    return [torch.as_tensor(each, dtype=kind).detach() for each, kind in pairs]


def described(value):
    """What kind of thing an answer is, in words."""
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, dict):
        return f"a dict with the keys {list(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def form(got, expected, what):
    """Refuse an answer of another kind: container, length, shape or type.

    Returns:
        The answer; a dict in the order of the expected one.
    """
    if isinstance(expected, dict):
        wanted = f"a dict with the keys {list(expected)}"
        fits = isinstance(got, dict) and set(got) == set(expected)
        got = {name: got[name] for name in expected} if fits else got
    elif isinstance(expected, (list, tuple)):
        wanted = f"a list of {len(expected)} tensors"
        fits = isinstance(got, (list, tuple)) and len(got) == len(expected)
    else:
        shape = tuple(getattr(expected, "shape", ()))
        wanted = f"one tensor {shape}" if shape else "a number"
        fits = not isinstance(got, (dict, list, tuple))
    if not fits:
        raise Mistake(f"{what}: expected {wanted}, got {described(got)}")
    try:
        pairs = list(zip(listed(got), listed(expected), strict=True))
    except (TypeError, ValueError, RuntimeError):
        raise Mistake(f"{what}: expected {wanted}, got {got!r:.60}") from None
    for a, b in pairs:
        if a.shape != b.shape:
            shapes = f"{tuple(b.shape)}, got {tuple(a.shape)}"
            raise Mistake(f"{what}: expected shape {shapes}")
        if (a.dtype == torch.bool) != (b.dtype == torch.bool):
            raise Mistake(f"{what}: expected {b.dtype}, got {a.dtype}")
        if not torch.isfinite(a.double()).all():
            raise Mistake(f"{what}: holds NaN or infinity")
    return got


def real(value, what):
    """A number that a student's function has returned, as a Python float."""
    value = value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.reshape(())
    return float(listed(form(value, 0.0, what))[0])


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

    Where several mistakes give the same number, the message names all of them.

    Args:
        got: The student's answer.
        expected: The right one: tensor, number, list or dict of tensors.
        suspects: dict from a message to the answer that this mistake gives.
        what: What was computed, for the message.
        tolerance: Largest difference, relative to the largest entry.

    Raises:
        Mistake: the answer is wrong.
    """
    got = form(got, expected, what)
    if same(got, expected, tolerance):
        return
    found = []
    for message, wrong in suspects.items():
        wrong = wrong() if callable(wrong) else wrong
        if not same(wrong, expected, tolerance) and same(got, wrong, tolerance):
            found.append(message)
    if isinstance(expected, (dict, list, torch.Tensor)):
        found = found[:1]
    wrong = ". Or: ".join(found) or difference(got, expected, tolerance)
    raise Mistake(f"{what}: {wrong}")


def difference(got, expected, tolerance=TOLERANCE):
    """Say where two answers differ first, in words."""
    pairs = list(zip(listed(got), listed(expected), strict=True))
    for k, (a, b) in enumerate(pairs):
        if same([a], [b], tolerance):
            continue
        place = f" of tensor {k}" if len(pairs) > 1 else ""
        apart = (a.double() - b.double()).abs().flatten()
        at = int(apart.argmax())
        index = f" at flat index {at}" if a.ndim else ""
        wanted, given = b.flatten()[at].item(), a.flatten()[at].item()
        digits = 6 if f"{wanted:.6g}" != f"{given:.6g}" else 12
        return f"expected {wanted:.{digits}g}{index}{place}, got {given:.{digits}g}"
    return "differs from the definition"


def correct(what):
    """Say that a check has passed."""
    print(f"{what}: correct")
