"""`prune`: from a network and the name of a score to masks."""

import contextlib
import difflib
import inspect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from paicore.forward import isolation, prunable
from paicore.forward.weights import check_finite
from paicore.masks.container import Masks
from paicore.masks.counts import count_rule as find_rule
from paicore.masks.loop import check_scope, prune_loop, unflatten
from paicore.masks.schedule import densities
from paicore.scores.inputs import (
    check_flags,
    check_inputs,
    check_runs,
    is_refusal,
)
from paicore.scores.registry import SCORES
from paicore.scores.score import Score

LOOP = {
    "rounds": 1, "schedule": "exponential", "scope": "global", "count_rule": "exact",
}  # fmt: skip
NOT_OPTIONS = {"net", "masks", "batch", "generator", "density"}


def prune(
    net: nn.Module,
    score: str | Score | Callable[..., dict],
    *,
    density: float,
    batch: tuple[Tensor, Tensor | None] | None = None,
    rounds: int | None = None,
    schedule: str | Sequence[float] | None = None,
    scope: str | None = None,
    count_rule: str | None = None,
    generator: torch.Generator | None = None,
    keep_last_layer_dense: bool = False,
    invert: bool = False,
    progress: bool | None = None,
    **options,
) -> Masks:
    """Choose which weights a network keeps. The network is left untouched.

    Conventions: density is the fraction kept. With the default count rule exactly
    floor(n * density + 0.5) weights are kept, ties go to the lower index, and a pruned
    weight does not return unless the score revives. Every setting that is None is the
    score's own default (`SCORES[name].defaults`). Bad arguments, scores that do not
    fit and NaN raise TypeError or ValueError naming the argument.

    Args:
        net: Module mapping (n, *in_shape) to (n, k).
        score: Name in SCORES, a Score, or a function
            ``f(net, masks, batch, *, generator, **options)``.
        density: Fraction to keep, in (0, 1].
        batch: Pair (x, y) of all scoring samples; y may be None if the score needs no
            labels; a data-free score uses only the shape of x.
        rounds: Number of rounds.
        schedule: "exponential", "linear", or the density after each round.
        scope: "global", "layerwise", or a quota: "uniform", "uniform_plus", "er",
            "erk".
        count_rule: "exact" or a published rule, see `paicore.masks.COUNT_RULES`.
        generator: CPU generator, for scores that draw.
        keep_last_layer_dense: Leave the last layer whole and out of the count.
        invert: Keep the lowest scores instead (a control).
        progress: Whether to show a bar over rounds; None: at a terminal.
        **options: Options of the score.

    Returns:
        Masks on the network's device.

    Raises:
        ValueError: `keep_last_layer_dense` leaves nothing to prune.

    Cost: `rounds` scorings; memory of one float64 copy of the network.
    """
    chosen = _find(score)
    given = {
        "rounds": rounds, "schedule": schedule, "scope": scope, "count_rule": count_rule
    }  # fmt: skip
    loop = LOOP | {k: v for k, v in chosen.defaults.items() if k in LOOP}
    loop |= {name: value for name, value in given.items() if value is not None}
    options = _options(chosen, options, density)
    weights = prunable(net)
    check_finite(weights)
    check_flags(keep_last_layer_dense=keep_last_layer_dense, invert=invert)
    check_inputs(chosen, _name(chosen), density, batch, generator)
    density = float(density)
    targets = densities(density, loop["rounds"], loop["schedule"])
    names = list(weights)[:-1] if keep_last_layer_dense else list(weights)
    if not names:
        raise ValueError("keep_last_layer_dense: the network has one layer only")
    scope, rule = check_scope(loop["scope"]), find_rule(loop["count_rule"])
    masks = Masks.dense(net)
    device = next(iter(weights.values())).device
    with isolation(net), _naming_inputs(net, batch):
        engine = _engine(chosen, net, masks, batch, names, generator, options)
        found = prune_loop(
            {name: weights[name].shape for name in names},
            _Inverted(engine) if invert else engine,
            targets,
            scope=scope,
            rule=rule,
            revives=chosen.revives,
            device=device,
            progress=progress,
        )
    return Masks({name: found.get(name, masks[name]) for name in weights})


@contextlib.contextmanager
def _naming_inputs(net: nn.Module, batch):
    """Blame inputs that the network does not take for what fails inside it."""
    try:
        yield
    except Exception as error:
        if not is_refusal(error):
            check_runs(net, batch)
        raise


def _find(score) -> Score:
    """Return the Score that a name, a Score or a function stands for."""
    if isinstance(score, Score):
        return score
    if callable(score):
        return Score(function=score)
    if not isinstance(score, str):
        raise TypeError(f"score: expected a name, a Score or a function, got {score!r}")
    if score not in SCORES:
        close = difflib.get_close_matches(score, SCORES, n=3)
        raise ValueError(
            f"score: expected one of {sorted(SCORES)}, got {score!r} (Neural Tangent "
            "Transfer and logit_snip are in paicore.transfer)"
            + (f"; did you mean {' or '.join(close)}?" if close else "")
        )
    return SCORES[score]


def _name(score: Score) -> str:
    """What to call a score in messages: as it was asked for, else its function."""
    if score.name:
        return score.name
    # a partial has no name of its own
    function = getattr(score.function, "func", score.function)
    return getattr(function, "__name__", type(function).__name__)


def _options(score: Score, options: dict, density) -> dict:
    """Merge defaults and options; refuse names that the function does not take."""
    # A function with an argument `density` is told what is wanted in the end: walks
    # know from it when to stop.
    signature = inspect.signature(score.function).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in signature.values())
    if not anything and "generator" not in signature:
        raise TypeError(f"score: expected {_name(score)} to take (net, masks, batch, "
                        f"*, generator), it takes {list(signature)}")  # fmt: skip
    takes = [name for name in signature if name not in NOT_OPTIONS]
    unknown = [] if anything else sorted(set(options) - set(takes))
    if unknown:
        raise TypeError(f"options: {_name(score)} takes {takes}, got {unknown}")
    own = {name: v for name, v in score.defaults.items() if name not in LOOP}
    told = {"density": density} if "density" in signature else {}
    return own | options | told


def _engine(score, net, masks, batch, names, generator, options):
    if score.engine is not None:
        return score.engine(net, masks, batch, names=names, **options)
    return _FunctionEngine(score, net, masks, batch, names, generator, options)


class _FunctionEngine:
    """Any pure score as the loop wants it."""

    def __init__(self, score, net, masks, batch, names, generator, options) -> None:
        self.score, self.net, self.batch = score, net, batch
        self.masks, self.names = masks, names
        self.generator, self.options = generator, options
        self.shapes = {name: masks[name].shape for name in names}

    def scores(self, alive: Tensor) -> Tensor:
        before = _state(self.net)
        handed = Masks(self.masks)  # what a score does to its masks stays there
        found = self.score.function(
            self.net, handed, self.batch, generator=self.generator, **self.options
        )
        if _state(self.net) != before:
            raise ValueError(f"score: {_name(self.score)} changed the network")
        values = self._flat(found)
        return values if len(values) == len(alive) else values[alive]

    def keep(self, kept: Tensor, dropped: Tensor) -> None:
        fresh = unflatten(kept, self.shapes)
        self.masks = Masks({n: fresh.get(n, mask) for n, mask in self.masks.items()})

    def _flat(self, found) -> Tensor:
        """Check what a score returned and put it in one line."""
        who = _name(self.score)
        if not isinstance(found, dict) or not set(self.names) <= set(found):
            raise ValueError(f"score: {who} did not return a dict with every weight")
        for name in self.names:
            value, shape = found[name], self.shapes[name]
            if not isinstance(value, Tensor) or value.shape != shape:
                got = getattr(value, "shape", type(value).__name__)
                raise ValueError(f"score: {who} returned {got} for {name!r} of shape "
                                 f"{tuple(shape)}")  # fmt: skip
            if value.is_complex() or value.layout != torch.strided:
                raise ValueError(f"score: {who} returned {value.dtype} {value.layout} "
                                 f"for {name!r}, expected real dense")  # fmt: skip
            if torch.isnan(value).any():
                raise ValueError(f"score: {who} returned NaN for {name!r}")
        device = next(iter(self.masks.values())).device
        parts = [found[n].detach().flatten().to(device) for n in self.names]
        whole = all(part.is_floating_point() for part in parts)
        return torch.cat(parts if whole else [part.double() for part in parts])


def _state(net: nn.Module) -> list:
    """What tells whether a network was touched: writes per tensor, and modes."""
    tensors = [*net.parameters(), *net.buffers()]
    writes = [(id(t), t._version) for t in tensors if not t.is_inference()]
    return [*writes, *(module.training for module in net.modules())]


class _Inverted:
    """An engine with the order of its scores turned round."""

    def __init__(self, engine) -> None:
        self.engine, self.keep = engine, engine.keep

    def scores(self, alive: Tensor) -> Tensor:
        return -self.engine.scores(alive)
