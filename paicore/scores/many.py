"""`prune_many`: masks of many networks and densities, each scoring done once."""

import inspect
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Real

import torch
from torch import Tensor, nn
from tqdm import tqdm

from paicore.masks.container import Masks
from paicore.masks.loop import unflatten
from paicore.masks.schedule import densities as round_densities
from paicore.scores.prune import LOOP, _engine, _find, prune
from paicore.scores.score import Score


def prune_many(
    nets: nn.Module | Sequence[nn.Module],
    score: str | Score | Callable[..., dict],
    *,
    densities: Sequence[float],
    batch: tuple[Tensor, Tensor | None] | None = None,
    batches: Sequence[tuple[Tensor, Tensor | None]] | None = None,
    generators: torch.Generator | Sequence[torch.Generator] | None = None,
    rounds: int | None = None,
    schedule: str | Sequence[float] | Mapping[float, Sequence[float]] | None = None,
    progress: bool | None = None,
    **settings,
) -> list[dict[float, Masks]]:
    """Prune every member to every density: the masks of `prune`, one by one.

    Conventions: bit-equal to ``prune(net, score, density=d, generator=g)`` for each
    member and density, where g stands each time as it was handed over; it is read and
    not moved. What is shared: the scorings of one member before which all rounds were
    the same. With one round that is the only scoring, so all densities cost one. With
    the named schedules it is the first round alone, because the second already
    differs: nothing worth naming. A mapping of schedules that begin alike shares all
    that they have in common; ``{0.8**k: [0.8**t for t in range(1, k + 1)] for k in
    exponents}`` costs what its longest schedule costs, but is another method than
    the exponential schedule with a fixed number of rounds. Members share nothing and
    run in turn; the draws of one NTK-SAP scoring are stacked by its own option
    `stacked`. A score that is told the density (PHEW) shares nothing.

    Args:
        nets: One network for all members, or one per member.
        score: As in `prune`.
        densities: Fractions to keep, each once.
        batch: Scoring samples of all members.
        batches: Or one pair per member.
        generators: One generator for all members, or one per member.
        rounds: As in `prune`; None with a mapping of schedules.
        schedule: As in `prune`, or density -> the densities after its rounds.
        progress: Whether to show a bar with the time left; None: at a terminal.
        **settings: Everything else that `prune` takes.

    Returns:
        For each member, in order, density -> Masks.

    Cost: one scoring for each different beginning of a schedule, per member. Memory
    of the scores that a later density will use again.
    """
    chosen = _find(score)
    plans = _plans(chosen, densities, rounds, schedule)
    members = _members(nets, batch, batches, generators)
    total = len(members) * len(plans)
    shown = total > 1 and sys.stderr.isatty() if progress is None else progress
    found = []
    with tqdm(total=total, desc="prune_many", unit="mask", disable=not shown) as bar:
        for net, own_batch, generator in members:
            shared, masks = _Shared(chosen, plans.values(), generator), {}
            for density, targets in plans.items():
                masks[density] = prune(
                    net, shared.score(targets), density=density, batch=own_batch,
                    rounds=len(targets), schedule=targets, generator=generator,
                    progress=False, **settings,
                )  # fmt: skip
                bar.update()
            found.append(masks)
    return found


def _plans(score: Score, wanted, rounds, schedule) -> dict[float, list[float]]:
    """Density -> the density after each round, as `prune` would have it."""
    if isinstance(wanted, Real) or not isinstance(wanted, Sequence) or not wanted:
        raise TypeError(f"densities: expected a sequence of numbers, got {wanted!r}")
    for each in wanted:
        if isinstance(each, bool) or not isinstance(each, Real) or not 0 < each <= 1:
            raise ValueError(f"densities: expected numbers in (0, 1], got {each!r}")
    if len(set(wanted)) != len(wanted):
        raise ValueError(f"densities: expected each once, got {list(wanted)}")
    loop = LOOP | dict(score.defaults)
    rounds_of = loop["rounds"] if rounds is None else rounds
    schedule_of = loop["schedule"] if schedule is None else schedule
    if not isinstance(schedule, Mapping):
        return {d: round_densities(float(d), rounds_of, schedule_of) for d in wanted}
    missing = [density for density in wanted if density not in schedule]
    if missing or rounds is not None:
        raise ValueError("schedule: a mapping needs a schedule for each density and "
                         f"no rounds; missing {missing}, rounds={rounds}")  # fmt: skip
    for density, own in schedule.items():
        if isinstance(own, str) or not isinstance(own, Sequence) or not own:
            raise TypeError(f"schedule[{density}]: expected the density after each "
                            f"round, got {own!r}")  # fmt: skip
    return {
        d: round_densities(float(d), len(schedule[d]), list(schedule[d]))
        for d in wanted
    }


def _members(nets, batch, batches, generators) -> list[tuple]:
    """One (net, batch, generator) per member."""
    if batch is not None and batches is not None:
        raise ValueError("batches: give either `batch` or `batches`, not both")
    lists = {"nets": nets, "batches": batches, "generators": generators}
    single = (nn.Module, torch.Generator, type(None))
    many = {name: each for name, each in lists.items() if not isinstance(each, single)}
    for name, each in many.items():
        if not isinstance(each, Sequence) or not each:
            raise TypeError(f"{name}: expected one or a sequence, got {each!r}")
    if isinstance(nets, nn.ModuleList):
        raise TypeError("nets: expected a network or a list, got a ModuleList; "
                        "use list(nets)")  # fmt: skip
    for name, kind in (("nets", nn.Module), ("generators", torch.Generator)):
        for each in many.get(name, ()):
            if not isinstance(each, kind) and (each is not None or name == "nets"):
                raise TypeError(
                    f"{name}: expected a {kind.__name__} each, got {each!r}"
                )
    counts = {name: len(each) for name, each in many.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"{next(iter(counts))}: expected equal numbers, got {counts}")
    count = max(counts.values(), default=1)
    lists["batches"] = batches or batch
    columns = [
        list(each) if name in many else [each] * count for name, each in lists.items()
    ]
    return list(zip(*columns, strict=True))


class _Shared:
    """The scorings of one member that more than one density asks for.

    Args:
        score: What is run.
        plans: The targets of every density.
        generator: Where every density starts to draw; None: no draws.
    """

    def __init__(self, score: Score, plans, generator) -> None:
        self.origin = score
        self.start = None if generator is None else generator.get_state()
        # By the rounds before: how many will still ask, and what was found.
        self.asked: Counter[tuple] = Counter()
        self.found: dict[tuple, tuple[Tensor, Tensor | None]] = {}
        if "density" not in inspect.signature(score.function).parameters:
            for targets in plans:
                rounds = range(len(targets))
                self.asked.update(tuple(targets[:t]) for t in rounds)

    def score(self, targets: Sequence[float]) -> Score:
        """Return the score whose engine looks here before it computes."""

        def engine(net, masks, batch, *, names, **options):
            return _Engine(self, tuple(targets), net, masks, batch, names, options)

        return replace(self.origin, engine=engine)


class _Engine:
    """An engine that takes the first rounds from where another density left them.

    The engine proper is made at the first round that is new, from the masks and the
    state of the generator reached by then.
    """

    def __init__(self, shared, targets, net, masks, batch, names, options) -> None:
        self.shared, self.targets, self.round = shared, targets, 0
        self.net, self.masks, self.batch = net, masks, batch
        self.names, self.options = names, options
        self.generator, self.inner, self.state = None, None, shared.start

    def scores(self, alive: Tensor) -> Tensor:
        before = self.targets[: self.round]
        self.round += 1
        self.shared.asked[before] -= 1
        again = self.shared.asked[before] > 0
        if before in self.shared.found:
            take = self.shared.found.get if again else self.shared.found.pop
            values, self.state = take(before)
            return values
        values = self._started().scores(alive)
        if again:
            state = None if self.generator is None else self.generator.get_state()
            self.shared.found[before] = values.clone(), state
        return values

    def keep(self, kept: Tensor, dropped: Tensor) -> None:
        if self.inner is not None:
            self.inner.keep(kept, dropped)
            return
        fresh = unflatten(kept, {name: self.masks[name].shape for name in self.names})
        self.masks = Masks({n: fresh.get(n, mask) for n, mask in self.masks.items()})

    def _started(self):
        if self.inner is None:
            if self.state is not None:
                self.generator = torch.Generator().set_state(self.state)
            self.inner = _engine(
                self.shared.origin, self.net, self.masks, self.batch, self.names,
                self.generator, self.options,
            )  # fmt: skip
        return self.inner
