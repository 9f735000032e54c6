"""Networks and callers as they come: closures, threads, functions, other modes."""

import functools
import itertools
import threading

import cases
import numpy as np
import pytest
import references
import torch
from torch import nn
from torch.nn import functional

from paicore import SCORES, Masks, nets, prune, seeds

GRADIENT = ("snip", "force", "grasp", "iterative_snip")
X = torch.randn(6, 8, generator=seeds.generator(0, "odd"), dtype=torch.float64)
Y = torch.arange(6) % 4


def draw():
    return seeds.generator(0, "odd", "draw")


def mlp(call, depth=3):
    """Linear layers with a function between them, the same weights for any function."""

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [8, *[8] * depth, 4]
            self.layers = nn.ModuleList(
                nn.Linear(a, b) for a, b in itertools.pairwise(sizes)
            )

        def forward(self, x):
            for layer in self.layers[:-1]:
                x = call(layer(x))
            return self.layers[-1](x)

    net = Functional().double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw()))
    return net


@pytest.mark.parametrize("name", ["synflow", *GRADIENT])
def test_scoring_patches_nothing_that_another_thread_could_see(name):
    c, seen = cases.case("resnet8_bn"), []
    plain = (nn.Module.__call__, nn.Module.__getattr__, functional.relu)

    def look(*_):
        seen.append((nn.Module.__call__, nn.Module.__getattr__, functional.relu))

    c.net.register_forward_hook(look)
    prune(c.net, name, density=0.5, batch=(c.x, c.y), rounds=2)
    assert seen and set(seen) == {plain}


def test_two_threads_prune_as_one_does():
    c = cases.case("resnet8_bn")
    alone = prune(c.net, "synflow", density=0.3, batch=(c.x, None), rounds=5)
    found, errors = [], []

    def work():
        try:
            found.append(
                prune(c.net, "synflow", density=0.3, batch=(c.x, None), rounds=5)
            )
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and all(each == alone for each in found) and len(found) == 3


@pytest.mark.parametrize(
    ("call", "module"),
    [
        (functional.relu, nn.ReLU), (torch.tanh, nn.Tanh), (functional.gelu, nn.GELU),
        (torch.sigmoid, nn.Sigmoid), (functional.relu6, nn.ReLU6),
        (lambda x: x.relu(), nn.ReLU), (lambda x: functional.elu(x), nn.ELU),
    ],
)  # fmt: skip
def test_an_activation_is_one_whether_module_or_function(call, module):
    as_function, as_module = mlp(call), mlp(module())
    for density in (0.5, 0.1):
        one = prune(as_function, "synflow", density=density, batch=(X, None))
        assert one == prune(as_module, "synflow", density=density, batch=(X, None))
        live = one.effective(as_function, (8,))
        assert live == one.effective(as_module, (8,))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: torch.softmax(x, 1), lambda x: functional.layer_norm(x, (8,)),
        lambda x: x.clamp(0, 1), lambda x: x.sqrt(), lambda x: x + 1, lambda x: x * x,
    ],
)  # fmt: skip
def test_what_has_no_path_form_is_refused_by_path_scores(call):
    net = mlp(call)
    for attempt in (
        lambda: prune(net, "synflow", density=0.5, batch=(X, None)),
        lambda: Masks.dense(net).effective(net, (8,)),
    ):
        with pytest.raises(ValueError, match="no path form"):
            attempt()


def test_a_used_twice_tensor_before_a_norm_is_not_folded():
    class Tapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Linear(8, 8, bias=False), nn.BatchNorm1d(8)
            self.fc = nn.Linear(8, 4)

        def forward(self, x):
            raw = self.conv(x)
            return self.fc(self.norm(raw) + raw)

    net = Tapped().double().eval()
    with torch.no_grad():
        net.norm.running_var.fill_(9.0)
    found = prune(net, "synflow", density=0.9, batch=(X, None), rounds=1)
    score = SCORES["synflow"].function(net, Masks.dense(net), (X, None))
    # each hidden unit reaches the output along raw and along raw / 3
    through = net.conv.weight.abs().sum(1) * (1 + (9 + 1e-5) ** -0.5)
    expected = net.fc.weight.abs() * through
    assert references.close(score["fc.weight"], expected.detach())
    assert found.kept == int(0.9 * found.total + 0.5)


class Closure(nn.Module):
    """A forward pass over a lambda that holds the original network."""

    def __init__(self):
        super().__init__()
        self.a, self.bn, self.b = nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 4)
        self.block = lambda x: torch.relu(self.bn(self.a(x)))

    def forward(self, x):
        return self.b(self.block(x))


@pytest.mark.parametrize("name", ["synflow", *GRADIENT])
def test_a_network_that_closes_over_itself_is_refused_and_left_alone(name):
    net = Closure().double()
    before = references.snapshot(net)
    with pytest.raises(TypeError, match="reference to the original network"):
        prune(net, name, density=0.5, batch=(X, Y))
    assert references.same(before, references.snapshot(net))


@pytest.mark.parametrize("name", ["synflow", *GRADIENT])
def test_a_network_that_draws_in_evaluation_mode_is_refused(name):
    net = mlp(lambda x: functional.dropout(x.relu(), 0.5))
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"draws random numbers|no path form"):
        prune(net, name, density=0.5, batch=(X, Y))
    assert torch.equal(state, torch.get_rng_state())


def test_inputs_that_a_network_overwrites_stay_the_callers():
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(functional.relu)

        def forward(self, x):
            return self.net(x.mul_(0.5))

    net, x = Halves(), X.clone()
    kept = prune(net, "iterative_snip", density=0.3, batch=(x, Y), rounds=4)
    assert torch.equal(x, X)
    again = prune(net, "iterative_snip", density=0.3, batch=(X, Y), rounds=4)
    assert kept == again


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", SCORES)
def test_the_masks_do_not_depend_on_the_callers_gradient_mode(name, mode):
    net = mlp(functional.relu)
    options = {"density": 0.3, "batch": (X.abs(), Y), "rounds": 2}
    outside = prune(net, name, generator=draw(), **options)
    with mode():
        inside = prune(net, name, generator=draw(), **options)
        assert inside.effective(net, (8,)) == outside.effective(net, (8,))
    assert inside == outside


def test_a_network_made_under_inference_mode_is_refused_by_name():
    with torch.inference_mode():
        net = nn.Linear(4, 2)
    with pytest.raises(ValueError, match=r"'weight' was made under inference_mode"):
        prune(net, "magnitude", density=0.5)


def test_complex_weights_are_refused_by_name():
    net = nn.Linear(4, 2, dtype=torch.complex64)
    with pytest.raises(ValueError, match="'weight' is complex"):
        prune(net, "magnitude", density=0.5)


def test_the_default_device_does_not_matter():
    net = mlp(functional.relu)
    expected = prune(net, "random", density=0.5, generator=draw())
    with torch.device("meta"):
        assert prune(net, "random", density=0.5, generator=draw()) == expected


def test_a_partial_is_a_score_and_a_function_without_generator_is_named():
    net = mlp(functional.relu)

    def power(net, masks, batch, *, generator, exponent):
        return {n: w.detach().abs() ** exponent for n, w in net.named_parameters()}

    score = functools.partial(power, exponent=2)
    assert prune(net, score, density=0.5) == prune(net, "magnitude", density=0.5)
    with pytest.raises(TypeError, match=r"score: expected <lambda> to take"):
        prune(net, lambda net, masks, batch: {}, density=0.5)


def test_a_score_that_changes_its_masks_changes_nothing_else():
    net = mlp(functional.relu)

    def clears(net, masks, batch, *, generator):
        for mask in masks.values():
            mask.zero_()
        return {n: w.detach().abs() for n, w in net.named_parameters() if n in masks}

    found = prune(net, clears, density=0.5, rounds=2, keep_last_layer_dense=True)
    plain = prune(net, "magnitude", density=0.5, rounds=2, keep_last_layer_dense=True)
    assert found == plain


def test_a_score_that_changes_the_network_is_caught():
    net = mlp(functional.relu)

    def writes(net, masks, batch, *, generator):
        with torch.no_grad():
            next(net.parameters()).mul_(2)
        return {n: w.detach().abs() for n, w in net.named_parameters() if n in masks}

    with pytest.raises(ValueError, match="score: writes changed the network"):
        prune(net, writes, density=0.5)


def test_integer_scores_are_ranked_as_numbers_also_inverted():
    net = nn.Linear(6, 1, bias=False)

    def grades(net, masks, batch, *, generator):
        return {"weight": torch.tensor([[0, 1, 2, 0, 1, 2]], dtype=torch.uint8)}

    high = prune(net, grades, density=1 / 3)["weight"]
    low = prune(net, grades, density=1 / 3, invert=True)["weight"]
    assert high.tolist() == [[False, False, True, False, False, True]]
    assert low.tolist() == [[True, False, False, True, False, False]]


def test_numpy_numbers_are_numbers():
    net = mlp(functional.relu)
    one = prune(net, "magnitude", density=np.float64(0.5), rounds=np.int64(2))
    assert one == prune(net, "magnitude", density=0.5)


def test_effective_reads_masks_by_name_and_refuses_those_of_another_network():
    net = mlp(functional.relu)
    kept = prune(net, "random", density=0.3, generator=draw())
    turned = Masks(dict(reversed(list(kept.items()))))
    assert turned == kept
    assert turned.effective(net, (8,)) == kept.effective(net, (8,))
    other = mlp(functional.relu, depth=2)
    with pytest.raises(ValueError, match="masks: expected the names"):
        kept.effective(other, (8,))
    with pytest.raises(TypeError, match="in_shape"):
        kept.effective(net, 8)


def test_effective_is_exact_at_any_depth():
    depth, width = 200, 30
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    net = nn.Sequential(*layers, nn.Linear(width, 2, bias=False))
    masks = {}
    for name, weight in net.named_parameters():
        mask = torch.zeros_like(weight, dtype=torch.bool)
        mask[0, 0] = True  # the one live path
        mask[1, :] = True  # a unit that sums many, and leads nowhere
        masks[name] = mask
    masks[f"{depth}.weight"][1] = False
    live = Masks(masks).effective(net, (width,))
    assert live.kept == depth + 1
    assert all(bool(mask[0, 0]) for mask in live.values())


def test_nets_with_two_rows_of_outputs_are_refused():
    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 1)

        def forward(self, x):
            return self.fc(x).squeeze(1)

    for name in ("snip", "synflow"):
        with pytest.raises(ValueError, match=r"net: expected float outputs"):
            prune(Single(), name, density=0.5, batch=(X, Y))


@pytest.mark.parametrize("name", ["resnet20", "vgg16_bn"])
def test_every_batch_norm_of_our_networks_is_folded(name):
    from paicore.forward import linearised, private_copy
    from paicore.forward.linearise import ChannelScale

    net = nets.build(name, in_shape=(3, 32, 32), width=4, generator=draw())
    live = linearised(private_copy(net, batch_norm="eval"), (3, 32, 32))
    assert not any(isinstance(module, ChannelScale) for module in live.modules())
