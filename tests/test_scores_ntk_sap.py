"""NTK-SAP against a plain loop of the authors' procedure, and its contract."""

import copy
import inspect
from math import sqrt

import cases
import pytest
import references
import torch
from cases import some_masks
from references import close
from torch import nn
from torch.func import functional_call

from paicore import SCORES, Masks, seeds
from paicore.scores import ntk_sap, saliency_sums
from paicore.scores.ntk_sap_draws import Settings, draws, grouped, stack_size

NORMS = nn.modules.batchnorm._BatchNorm


def g(name="draw"):
    return seeds.generator(0, "ntk_sap", name)


def normal(shape, generator):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def plain(net, kept, x, generator, *, repeats=1, batch_size=256, epsilon=1e-4,
          weights="redrawn", inputs="noise", merged=False):  # fmt: skip
    """The authors' loop: two copies, shared masks with a gradient, eval mode."""
    shared = {n: m.double().requires_grad_() for n, m in kept.items()}
    values = []
    for _ in range(repeats):
        for part in x.split(batch_size):
            one = copy.deepcopy(net).double()
            own = references.layers(one)
            with torch.no_grad():
                if weights == "redrawn":
                    for weight in own.values():
                        sd = sqrt(2 / weight[0].numel())
                        weight.copy_(normal(weight.shape, generator) * sd)
                    for norm in (m for m in one.modules() if isinstance(m, NORMS)):
                        norm.weight.fill_(1), norm.bias.zero_()
            if inputs == "noise":
                part = normal(part.shape, generator)
            for norm in (m for m in one.modules() if isinstance(m, NORMS)):
                norm.momentum = 1.0
            theta = {n: w.detach() for n, w in own.items()}
            sizes = {}

            def size(module, given, _, sizes=sizes):
                sizes[module] = given[0].numel() / given[0].shape[1]

            hooks = [m.register_forward_hook(size) for m in one.modules()
                     if isinstance(m, NORMS)]  # fmt: skip
            with torch.no_grad():
                functional_call(
                    one.train(), {n: w * kept[n] for n, w in theta.items()}, part
                )
            for hook in hooks:
                hook.remove()
            if merged:  # the same loop with the biased variance
                for norm, n in sizes.items():
                    norm.running_var.mul_((n - 1) / n)
            two = copy.deepcopy(one.eval())
            moved = {n: w + sqrt(epsilon) * normal(w.shape, generator)
                     for n, w in theta.items()}  # fmt: skip
            first = functional_call(one, {n: theta[n] * shared[n] for n in kept}, part)
            other = functional_call(two, {n: moved[n] * shared[n] for n in kept}, part)
            values.append((first - other).square().sum())
            values[-1].backward()
    found = {n: (m.grad * m).detach().abs() for n, m in shared.items()}
    return found, torch.stack(values).detach()


ONCE = [n for n in cases.NAMES if n != "twice_called"]  # whose norm has two statistics


@pytest.mark.parametrize("name", ONCE)
def test_the_score_is_that_of_the_authors_loop(name):
    c = cases.case(name)
    kept = some_masks(c)
    expected, values = plain(c.net, kept, c.x, g(), repeats=2)
    found = ntk_sap(c.net, kept, (c.x, None), generator=g(), repeats=2)
    for n in kept:
        assert close(found[n], expected[n]), n
    sums = saliency_sums(c.net, kept, (c.x, None), generator=g(), repeats=2)
    assert close(sums.values, values)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "given"},
        {"inputs": "real"},
        {"weights": "given", "inputs": "real", "batch_size": 4},
        {"batch_size": 3, "repeats": 3},
        {"epsilon": 1e-2},
    ],
)
@pytest.mark.parametrize("name", ["mlp_bias", "resnet8_bn"])
def test_options_are_those_of_the_authors_loop(name, options):
    c = cases.case(name)
    with torch.no_grad():
        for parameter in c.net.parameters():  # gamma and beta that matter
            parameter.add_(0.1)
    kept = some_masks(c)
    expected, _ = plain(c.net, kept, c.x, g(), **options)
    options = {"repeats": 1} | options
    found = ntk_sap(c.net, kept, (c.x, None), generator=g(), **options)
    for n in kept:
        assert close(found[n], expected[n]), n


@pytest.mark.parametrize("estimator", ["fd", "jvp"])
def test_merging_the_statistics_pass_is_the_loop_with_a_biased_variance(estimator):
    c = cases.case("resnet8_bn")
    kept = some_masks(c)
    options = {"generator": g(), "repeats": 2, "statistics": "merged"}
    if estimator == "fd":
        expected, _ = plain(c.net, kept, c.x, g(), repeats=2, merged=True)
        found = ntk_sap(c.net, kept, (c.x, None), **options)
        for n in kept:
            assert close(found[n], expected[n]), n
        return
    options["estimator"] = "jvp"
    limit = ntk_sap(c.net, kept, (c.x, None), **options)
    options |= {"estimator": "fd", "epsilon": 1e-14, "generator": g()}
    near = ntk_sap(c.net, kept, (c.x, None), **options)
    for n in kept:
        assert close(near[n] / 1e-14, limit[n], 1e-4), n


@pytest.mark.parametrize("name", ["mlp_bias", "lenet5", "resnet8_bn", "twice_called"])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"estimator": "jvp"}, {"statistics": "merged"},
        {"statistics": "merged", "estimator": "jvp"}, {"batch_norm": "train"},
        {"batch_norm": "train", "estimator": "jvp"}, {"batch_norm": "eval"},
        {"weights": "given", "inputs": "real", "batch_size": 4},
    ],
)  # fmt: skip
def test_stacked_draws_add_up_to_the_single_ones(name, options):
    c = cases.case(name)
    options = {"repeats": 5} | options
    alone, stacked = (
        saliency_sums(
            c.net, some_masks(c), (c.x, None), generator=g(), stacked=size, **options
        )
        for size in (1, 3)
    )
    assert close(stacked.values, alone.values)
    for n in alone.signed:
        assert close(stacked.signed[n], alone.signed[n]), n


def test_the_modulus_is_taken_after_the_sum_over_draws():
    c = cases.case("resnet8_bn")
    kept, generator = some_masks(c), g()
    options = {"weights": "given", "inputs": "real", "repeats": 1}
    parts = [
        saliency_sums(c.net, kept, (x, None), generator=generator, **options).signed
        for x in c.x.split(3)
    ]
    whole = ntk_sap(c.net, kept, (c.x, None), generator=g(), batch_size=3, **options)
    cancelled = 0
    for n in kept:
        assert close(whole[n], sum(part[n] for part in parts).abs())
        cancelled += int((sum(p[n].abs() for p in parts) > 1.01 * whole[n]).sum())
    assert cancelled > 10


def test_the_perturbation_has_variance_epsilon_and_whole_layers_are_drawn():
    given = {"w": torch.zeros(400, 500), "v": torch.zeros(3, 2, 3, 3)}
    kept = {n: torch.ones_like(w, dtype=torch.bool) for n, w in given.items()}
    some = {n: torch.rand(w.shape, generator=g("mask")) < 0.5 for n, w in given.items()}
    x = torch.zeros(7, 4)
    settings = Settings(batch_size=4, repeats=2)
    full = list(draws(given, kept, x, settings, g()))
    part = list(draws(given, some, x, settings, g()))
    assert [len(draw.x) for draw in full] == [4, 3, 4, 3]
    assert [len(each) for each in grouped(iter(full), 2)] == [1, 1, 1, 1]
    assert abs(float(full[0].step["w"].std()) / 0.01 - 1) < 0.01
    assert abs(float(full[0].weights["w"].std()) / sqrt(2 / 500) - 1) < 0.01
    for one, other in zip(full, part, strict=True):
        assert torch.equal(one.x, other.x)
        for n in given:
            assert torch.equal(other.weights[n], one.weights[n] * some[n])
            assert torch.equal(other.step[n], one.step[n] * some[n])
    assert not torch.equal(full[0].weights["w"], full[1].weights["w"])
    unit = next(draws(given, kept, x, Settings(estimator="jvp", batch_size=4), g()))
    assert torch.allclose(unit.step["w"] * 0.01, full[0].step["w"], rtol=1e-6)


def test_only_the_shape_of_noise_inputs_and_not_the_given_weights_matter():
    c, other = cases.case("resnet8_bn"), cases.case("resnet8_bn")
    with torch.no_grad():
        for n, parameter in other.net.named_parameters():
            if n.endswith("weight"):
                parameter.add_(1)
    kept = some_masks(c)
    one = ntk_sap(c.net, kept, (c.x, None), generator=g())
    two = ntk_sap(other.net, kept, (c.x + 1, None), generator=g())
    assert all(torch.equal(one[n], two[n]) for n in kept)
    with torch.no_grad():
        list(other.net.parameters())[-1].add_(1)  # the readout's bias: cancels
        other.net.conv1.bias = nn.Parameter(torch.ones(2).double())
    three = ntk_sap(other.net, kept, (c.x, None), generator=g(), batch_norm="eval")
    four = ntk_sap(c.net, kept, (c.x, None), generator=g(), batch_norm="eval")
    assert not any(close(three[n], four[n]) for n in kept)


@pytest.mark.parametrize("batch_norm", ["frozen", "train", "eval"])
def test_the_order_of_samples_and_what_pruned_weights_hold_do_not_matter(batch_norm):
    c = cases.case("resnet8_bn")
    kept, order = some_masks(c), torch.randperm(6, generator=g("order"))
    dirty = copy.deepcopy(c.net)
    with torch.no_grad():
        for n, weight in references.layers(dirty).items():
            weight[~kept[n]] = 1e3
    options = {"weights": "given", "inputs": "real", "batch_norm": batch_norm}
    one = ntk_sap(c.net, kept, (c.x, None), generator=g(), **options)
    two = ntk_sap(c.net, kept, (c.x[order], None), generator=g(), **options)
    three = ntk_sap(dirty, kept, (c.x, None), generator=g(), **options)
    for n in kept:
        assert close(one[n], two[n])
        assert torch.equal(one[n], three[n])
        assert torch.all(one[n][~kept[n]] == 0) and (one[n][kept[n]] > 0).any()


def test_float32_uses_the_same_draws():
    c = cases.case("lenet5")
    dense = Masks.dense(c.net)
    exact = ntk_sap(c.net, dense, (c.x, None), generator=g())
    fast = ntk_sap(c.net, dense, (c.x, None), generator=g(), dtype=torch.float32)
    for n in dense:
        assert fast[n].dtype == torch.float32
        assert close(fast[n].double(), exact[n], 2e-3)


def test_the_defaults_are_the_papers_and_stand_in_one_place():
    parameters = inspect.signature(ntk_sap).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    assert Settings(**defaults) == Settings()
    assert set(defaults) == set(Settings.__dataclass_fields__)
    assert (Settings().epsilon, Settings().repeats, Settings().batch_size) == (
        1e-4, 5, 256,
    )  # fmt: skip
    entry = SCORES["ntk_sap"]
    assert dict(entry.defaults) == {"rounds": 20, "schedule": "exponential"}
    assert entry.needs == {"shape", "generator"} and not entry.revives


def test_draws_are_stacked_off_the_cpu_while_their_inputs_are_few():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    small, large = (torch.zeros(1, device="meta").expand(*s) for s in (
        (100, 3, 32, 32), (10_000, 3, 224, 224)))  # fmt: skip
    assert stack_size(Settings(), small, cpu) == 1
    assert stack_size(Settings(stacked=3), small, cpu) == 3
    assert stack_size(Settings(), small, gpu) == 8
    assert stack_size(Settings(), large, gpu) == 1


@pytest.mark.gpu
@pytest.mark.parametrize("stacked", [1, None])
def test_a_gpu_gives_the_scores_of_the_cpu(stacked):
    c = cases.case("resnet8_bn")
    kept = some_masks(c)
    expected = ntk_sap(c.net, kept, (c.x, None), generator=g())
    on_gpu = copy.deepcopy(c.net).cuda()
    found = ntk_sap(on_gpu, kept, (c.x, None), generator=g(), stacked=stacked)
    for n in kept:
        assert found[n].is_cuda and close(found[n].cpu(), expected[n], 1e-8)
