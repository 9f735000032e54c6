"""Named wrong answers to exercise 1; the stubs' parts are right but for one thing."""

import torch
from course_cases import Wrong


def ties_all_kept(scores, k):
    falling = scores.sort(descending=True).values
    return scores >= falling[k - 1] if k else torch.zeros(len(scores)).bool()


def ties_all_dropped(scores, k):
    rising = scores.sort().values
    if k == len(scores):
        return torch.ones(k).bool()
    return scores > rising[len(scores) - k - 1]


def ties_to_the_last(scores, k):
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[torch.argsort(scores, stable=True)[len(scores) - k :]] = True
    return keep


def right_top_k(scores, k):
    keep = torch.zeros(len(scores), dtype=torch.bool)
    keep[torch.argsort(scores, descending=True, stable=True)[:k]] = True
    return keep


def swapped(scores, k):
    return ~right_top_k(scores, k)


def modulus(scores, k):
    return right_top_k(scores.abs(), k)


def forgotten_return(scores, k):
    right_top_k(scores, k)


def in_place(scores, k):
    keep = right_top_k(scores, k)
    scores[~keep] = 0
    return keep


def floats(scores, k):
    return right_top_k(scores, k).float()


def sloped(scores, k):
    return right_top_k(scores - 1e-3 * torch.arange(len(scores)), k)


def rounded(scores, k):
    return right_top_k((100 * scores).round() / 100, k)


def text(scores, k):
    return "the first k"


def cut(scores, k_of, top=right_top_k):
    """Global masks with a given count and rule."""
    flat = torch.cat([s.flatten() for s in scores.values()])
    parts = top(flat, k_of(len(flat))).split([s.numel() for s in scores.values()])
    pairs = zip(scores.items(), parts, strict=True)
    return {name: part.view(s.shape) for (name, s), part in pairs}


def halves_up(density):
    return lambda n: int(n * density + 0.5)


def each_alone(scores, k_of, top=right_top_k):
    return {n: cut({n: s}, k_of, top)[n] for n, s in scores.items()}


def global_threshold(scores, density):
    return cut(scores, halves_up(density), ties_all_kept)


def global_last(scores, density):
    return cut(scores, halves_up(density), ties_to_the_last)


def layerwise_threshold(scores, density):
    return each_alone(scores, halves_up(density), ties_all_kept)


def layerwise_last(scores, density):
    return each_alone(scores, halves_up(density), ties_to_the_last)


def without_keys(scores, density):
    return list(cut(scores, halves_up(density)).values())


def empties_the_dict(scores, density):
    found = cut(scores, halves_up(density))
    scores.clear()
    return found


def layerwise_for_global(scores, density):
    return each_alone(scores, halves_up(density))


def global_for_layerwise(scores, density):
    return cut(scores, halves_up(density))


def truncated_count(scores, density):
    return cut(scores, lambda n: int(n * density))


def truncated_per_layer(scores, density):
    return each_alone(scores, lambda n: int(n * density))


def halves_to_even(scores, density):
    return cut(scores, lambda n: round(n * density))


def halves_to_even_per_layer(scores, density):
    return each_alone(scores, lambda n: round(n * density))


def sparsity_for_density(scores, density):
    return cut(scores, halves_up(1 - density))


def pruned_for_kept(scores, density):
    return {n: ~m for n, m in each_alone(scores, halves_up(density)).items()}


def one_too_few(scores):
    flat = torch.cat([s.flatten() for s in scores.values()])
    return int((flat > min(s.max() for s in scores.values())).sum())


def first_layer(scores):
    return 1


def rank_in_its_layer(scores):
    return 1 + 0 * len(scores)


def rank_of_best(scores, layer):
    flat = torch.cat([s.flatten() for s in scores.values()])
    return int((flat >= layer.max()).sum())


def middle_layer(scores):
    return rank_of_best(scores, sorted(scores.values(), key=torch.max)[1])


def last_of_the_dict(scores):
    return rank_of_best(scores, list(scores.values())[-1])


def lowest_mean(scores):
    return rank_of_best(scores, min(scores.values(), key=torch.mean))


def sweep(masks, forward=True, backward=True):
    fed = [torch.ones(masks[0].shape[1]).bool()]
    for mask in masks:
        fed.append((mask & fed[-1]).any(1))
    used = [torch.ones(len(masks[-1])).bool()]
    for mask in reversed(masks):
        used.insert(0, (mask & used[0][:, None]).any(0))
    out = []
    for k, mask in enumerate(masks):
        keep = mask & fed[k] if forward else mask
        out.append(keep & used[k + 1][:, None] if backward else keep)
    return out


def only_from_inputs(masks):
    return sweep(masks, backward=False)


def only_from_outputs(masks):
    return sweep(masks, forward=False)


def neighbours_only(masks):
    out = []
    for k, mask in enumerate(masks):
        keep = mask.clone()
        if k:
            keep &= masks[k - 1].any(1)
        if k + 1 < len(masks):
            keep &= masks[k + 1].any(0)[:, None]
        out.append(keep)
    return out


def nothing_removed(masks):
    return [mask.clone() for mask in masks]


WRONG = {
    "ties all kept": Wrong("top_k", "more than k", ties_all_kept),
    "ties all dropped": Wrong("top_k", "fewer than k", ties_all_dropped),
    "ties to the last": Wrong("top_k", "higher index", ties_to_the_last),
    "kept and pruned swapped": Wrong("top_k", "swapped", swapped),
    "modulus of a signed score": Wrong("top_k", "modulus decides", modulus),
    "no return": Wrong("top_k", "is there a return", forgotten_return),
    "works in place": Wrong("top_k", "work on a copy", in_place),
    "small slope": Wrong("top_k", "lie close together", sloped),
    "rounded scores": Wrong("top_k", "lie close together", rounded),
    "text": Wrong("top_k", "expected one tensor (5,), got 'the first k'", text),
    "floats for booleans": Wrong("top_k", "expected torch.bool", floats),
    "layerwise for global": Wrong("global_masks", "on its own", layerwise_for_global),
    "truncated count": Wrong("global_masks", "int()", truncated_count),
    "halves to even": Wrong("global_masks", "Python's round", halves_to_even),
    "sparsity": Wrong("global_masks", "not the fraction removed", sparsity_for_density),
    "global threshold": Wrong("global_masks", "more than k", global_threshold),
    "global ties to the last": Wrong("global_masks", "higher index", global_last),
    "no keys": Wrong("global_masks", "a dict with the keys", without_keys),
    "dict emptied": Wrong("global_masks", "work on a copy", empties_the_dict),
    "threshold": Wrong("layerwise_masks", "more than k", layerwise_threshold),
    "layers' ties to the last": Wrong("layerwise_masks", "higher", layerwise_last),
    "global for layerwise": Wrong("layerwise_masks", "compete", global_for_layerwise),
    "truncated per layer": Wrong("layerwise_masks", "int()", truncated_per_layer),
    "even per layer": Wrong("layerwise_masks", "round", halves_to_even_per_layer),
    "pruned for kept": Wrong("layerwise_masks", "swapped", pruned_for_kept),
    "off by one": Wrong("smallest_count", "one too few", one_too_few),
    "first layer": Wrong("smallest_count", "ask for the last", first_layer),
    "middle layer": Wrong("smallest_count", "expected", middle_layer),
    "last of the dict": Wrong("smallest_count", "the dict's last", last_of_the_dict),
    "lowest mean": Wrong("smallest_count", "of the lowest mean", lowest_mean),
    "only from inputs": Wrong("effective", "lead to no output", only_from_inputs),
    "only from outputs": Wrong("effective", "no input reaches", only_from_outputs),
    "neighbours only": Wrong("effective", "further away", neighbours_only),
    "nothing removed": Wrong("effective", "the mask itself", nothing_removed),
}
NUMBERS = {
    "nominal density": ("the mask itself", lambda right, space: space["DENSITY"]),
    "of the kept": ("divided by the kept", lambda right, s: right / s["DENSITY"]),
    "percent": ("in percent", lambda right, space: 100 * right),
}
