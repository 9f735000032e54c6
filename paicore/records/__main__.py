"""Records from the command line: run, merge, promote.

python -m paicore.records run 00_tour accuracy_by_density --profile quick --jobs 2
python -m paicore.records run 00_tour --profile quick --dask tcp://node1:8786
python -m paicore.records merge shard1.jsonl shard2.jsonl --out whole.jsonl
python -m paicore.records promote
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping

from paicore.experiments import Experiment
from paicore.records import (
    Settings,
    SweepStopped,
    dask,
    find,
    load_or_run,
    merge,
    processes,
    promote,
    settings,
)
from paicore.records.parameters import named
from paicore.records.places import root, shown
from paicore.records.store import methods_of


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what it says."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (SweepStopped, ValueError, RuntimeError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what finished is kept, run again", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    parser = argparse.ArgumentParser(prog="python -m paicore.records")
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser(
        "run", help="run an experiment, or go on with it (smoke: afresh)"
    )
    run.add_argument("notebook", help="for example 00_tour")
    run.add_argument("experiment", nargs="?", help="default: all of the notebook")
    run.add_argument("--profile", required=True, choices=("smoke", "quick", "paper"))
    run.add_argument("--jobs", type=int, default=0, help="processes; CPU only")
    run.add_argument(
        "--dask",
        default="",
        metavar="ADDRESS",
        help="a scheduler's; with --device cuda each call takes the resource GPU=1",
    )
    run.add_argument("--seeds", type=int, default=0, help="0: the profile's own")
    run.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    run.add_argument(
        "--only",
        default="",
        help="comma list of methods; of a notebook, each experiment runs its own",
    )
    run.set_defaults(command=_run)
    joined = commands.add_parser("merge", help="join the journals of shards")
    joined.add_argument("journals", nargs="+")
    joined.add_argument("--out", required=True)
    joined.set_defaults(command=_merge)
    kept = commands.add_parser("promote", help="copy finished records to figures/")
    kept.set_defaults(command=_promote)
    return parser


def _run(options: argparse.Namespace) -> None:
    """Run one experiment of a notebook, or all."""
    experiments = find(options.notebook)
    names = [options.experiment] if options.experiment else list(experiments)
    if unknown := [name for name in names if name not in experiments]:
        known = ", ".join(experiments)
        raise ValueError(f"{options.notebook} has no {unknown[0]}; it has {known}")
    if options.experiment:  # of a whole notebook, what has no such profile is left out
        _check_profile(experiments[options.experiment], options.profile)
    chosen = _chosen(options)
    only = _only(experiments, names, chosen)
    executor = _executor(options, chosen.device)
    if chosen.device == "cpu":
        import torch

        torch.set_num_threads(1)  # small networks are slower on two
    for name in names:
        if only[name] is None:
            print(f"{name}: left out, it has none of {chosen.only}")
            continue
        own = dataclasses.replace(chosen, only=only[name])
        record = load_or_run(experiments[name], own, executor=executor)
        print(record.message)


def _only(
    experiments: Mapping[str, Experiment], names: list[str], chosen: Settings
) -> dict[str, str | None]:
    """Return the methods that each experiment runs, "" for all and None for none.

    Raises:
        ValueError: A method is none of any experiment's.
    """
    asked = named(chosen.only)
    has = {
        name: methods_of(experiments[name], chosen.profile)
        for name in names
        if chosen.profile in experiments[name].profiles
    }
    known = set().union(*has.values())
    if unknown := sorted(asked - known):
        where = names[0] if len(names) == 1 else experiments[names[0]].notebook
        there = ", ".join(sorted(known))
        raise ValueError(f"only: {where} has no {unknown}; it has {there}")
    shared = {name: ",".join(sorted(asked & has.get(name, asked))) for name in names}
    return {name: own or (None if asked else "") for name, own in shared.items()}


def _check_profile(experiment: Experiment, profile: str) -> None:
    """Refuse a profile that an experiment asked for by name does not have."""
    if profile not in experiment.profiles:
        known = ", ".join(experiment.profiles)
        raise ValueError(f"profile: {experiment.name} has no {profile}; it has {known}")


def _chosen(options: argparse.Namespace) -> Settings:
    """Return the settings; on a cluster the device is that of the workers."""
    if options.dask and options.device == "auto":
        raise ValueError("dask: add --device cpu or cuda, what the workers have")
    found = settings(
        profile=options.profile,
        recompute=True,
        seeds=options.seeds,
        device="cpu" if options.dask else options.device,
        only=options.only,
    )
    return dataclasses.replace(found, device=options.device) if options.dask else found


def _executor(options: argparse.Namespace, device: str) -> Callable | None:
    """Return the factory of an executor that the options ask for."""
    if options.jobs < 0:
        raise ValueError(f"jobs: expected 0 or more, got {options.jobs}")
    if options.dask and options.jobs:
        raise ValueError("jobs: a cluster has its own number of workers; drop --jobs")
    if options.dask:
        return dask(options.dask, resources={"GPU": 1} if device == "cuda" else None)
    if options.jobs > 1 and device == "cuda":
        raise ValueError("jobs: several processes are for the CPU; add --device cpu")
    return processes(options.jobs) if options.jobs > 1 else None


def _merge(options: argparse.Namespace) -> None:
    """Join journals and say where and how many."""
    count = merge(options.journals, options.out)
    print(f"{count} runs in {options.out}; `run` now writes their record")


def _promote(options: argparse.Namespace) -> None:
    """Copy and list."""
    for name in promote():
        print(name)
    print(f"into {shown(root() / 'figures')}/")


if __name__ == "__main__":
    sys.exit(main())
