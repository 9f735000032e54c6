"""The five parameters of every notebook, checked and resolved."""

import json
import os
from dataclasses import dataclass, fields

PROFILES = ("best", "smoke", "quick", "paper")
_TYPES = {
    "profile": str,
    "recompute": bool,
    "seeds": int,
    "device": str,
    "only": str,
}


@dataclass(frozen=True)
class Settings:
    """What the reader asked for.

    Attributes:
        profile: "best" (replay paper, else quick), "smoke", "quick" or "paper".
        recompute: False draws committed records, True runs.
        seeds: Repetitions; 0 means the profile's own number.
        device: "cpu" or "cuda"; "auto" while nothing runs.
        only: Comma list of methods, empty for all.
    """

    profile: str = "best"
    recompute: bool = False
    seeds: int = 0
    device: str = "auto"
    only: str = ""

    @property
    def is_run(self) -> bool:
        """Say whether experiments run; smoke always does."""
        return self.recompute or self.profile == "smoke"

    def __str__(self) -> str:
        mode = "runs" if self.is_run else "replay of committed records"
        seeds = self.seeds or "the profile's own"
        parts = [
            f"profile {self.profile}: {mode}",
            f"seeds: {seeds}; device: {self.device}; methods: {self.only or 'all'}",
            f"data: {_data_sets()}",
        ]
        if self.is_run:
            parts.append("results: build/figures")
        return "\n".join(parts)


def settings(
    profile: str = "best",
    recompute: bool = False,
    seeds: int = 0,
    device: str = "auto",
    only: str = "",
) -> Settings:
    """Check the five parameters of a notebook and resolve the device.

    Conventions: with the environment variable ``PAICORE_PARAMS`` (a JSON object) its
    entries replace the arguments, for a notebook that runs as a plain script. Smoke
    counts as a run. An unknown name or value is a ValueError, and so is a parameter
    that would be ignored.

    Args:
        profile: "best", "smoke", "quick" or "paper".
        recompute: True runs the experiments of a profile other than "best".
        seeds: Number of repetitions, 0 for the profile's own.
        device: "auto" (a GPU if there is one), "cpu" or "cuda".
        only: Comma list of method names, to shard long runs.

    Returns:
        The frozen settings; print them in the notebook.

    Raises:
        TypeError: A parameter of the wrong type, for example the text "true".
    """
    asked = {
        "profile": profile,
        "recompute": recompute,
        "seeds": seeds,
        "device": device,
        "only": only,
    }
    asked.update(_from_environment())
    for name, value in asked.items():
        if type(value) is not _TYPES[name]:
            kind = _TYPES[name].__name__
            raise TypeError(f"{name}: expected a {kind}, got {value!r}")
    chosen = Settings(**asked)
    _check(chosen)
    if not chosen.is_run:
        return chosen
    return Settings(**{**asked, "device": _resolve(chosen.device)})


def named(only: str) -> set[str]:
    """Return the names of a comma list."""
    return {name.strip() for name in only.split(",") if name.strip()}


def _from_environment() -> dict:
    """Return the entries of ``PAICORE_PARAMS``; unknown names are an error."""
    text = os.environ.get("PAICORE_PARAMS")
    if not text:
        return {}
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"PAICORE_PARAMS: no JSON ({error}): {text}") from error
    if not isinstance(given, dict):
        raise ValueError(f"PAICORE_PARAMS: expected a JSON object, got {text}")
    if unknown := sorted(set(given) - set(_TYPES)):
        names = ", ".join(field.name for field in fields(Settings))
        raise ValueError(f"PAICORE_PARAMS: unknown {unknown}; there are {names}")
    return given


def _check(chosen: Settings) -> None:
    """Refuse values that nothing understands, and choices that nothing would use."""
    if chosen.profile not in PROFILES:
        text = f"profile: expected one of {PROFILES}, got {chosen.profile!r}"
        raise ValueError(text)
    if chosen.device == "mps":
        raise ValueError(
            'device: "mps" is not supported: scores need float64, which it lacks; '
            'use "cpu"'
        )
    if chosen.device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device: expected auto, cpu or cuda, got {chosen.device!r}")
    if chosen.seeds < 0:
        raise ValueError(f"seeds: expected 0 or more, got {chosen.seeds}")
    if chosen.profile == "best" and chosen.recompute:
        raise ValueError(
            'profile: "best" only replays; name smoke, quick or paper to recompute'
        )
    idle = [n for n in ("seeds", "device", "only") if getattr(chosen, n) != _unset(n)]
    if idle and not chosen.is_run:
        raise ValueError(
            f"{', '.join(idle)}: set, but nothing runs; add recompute=True with "
            "profile quick or paper, or use profile smoke"
        )


def _unset(name: str) -> object:
    """Return the default of a parameter."""
    return {field.name: field.default for field in fields(Settings)}[name]


def _resolve(device: str) -> str:
    """Return "cpu" or "cuda"; a GPU that is not there is an error, not a fallback."""
    if device == "cpu":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ValueError('device: "cuda" asked for, but torch finds no GPU here')
    return "cpu"


def _data_sets() -> str:
    """Return which data sets are here, without reading or fetching them."""
    from paicore import data

    here = [name for name in data.NAMES if data.available(name)]
    absent = [name for name in data.NAMES if name not in here]
    return f"{', '.join(here)} here" + (f"; {', '.join(absent)} not" if absent else "")
