"""Paths by explicit loops over scalar nodes. Imports nothing of the kernels."""

import itertools
from functools import cache
from typing import NamedTuple

import torch
from references import layers
from torch import nn
from torch.func import functional_call

from paicore import seeds
from paicore.nets.modules import Scale


class Residual(nn.Module):
    """x + body(x), or shortcut(x) + body(x)."""

    def __init__(self, body, shortcut=None):
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x):
        return self.shortcut(x) + self.body(x)


class Path(NamedTuple):
    source: int  # flat entry of the input, -1 for the constant 1
    members: tuple = ()  # flat numbers of parameters, in order
    constant: float = 1.0
    gates: tuple = ()  # (kind, module path, ...) as in `is_open`


class Enumerator:
    """All paths of nested nn.Sequential and Residual modules."""

    def __init__(self, net, in_shape, masks=None):
        self.net, self.names, self.theta = net, {}, []
        self.modules = {id(m): path for path, m in net.named_modules()}
        start, alive = 0, []
        for name, parameter in net.named_parameters():
            self.names[name] = start
            start += parameter.numel()
            self.theta.append(parameter.detach().flatten())
            keep = torch.ones_like(parameter, dtype=torch.bool)
            alive.append((masks or {}).get(name, keep).flatten())
        self.alive = torch.cat(alive)
        self.theta = torch.cat(self.theta) * self.alive
        size = torch.Size(in_shape)
        state = {
            index: [Path(s)]
            for s, index in enumerate(itertools.product(*map(range, size)))
        }
        ends = self.step(net, state)
        self.paths = [(k, p) for (k,), each in sorted(ends.items()) for p in each]

    def number(self, module, kind, *index):
        name = ".".join(filter(None, [self.modules[id(module)], kind]))
        flat = 0
        for i, size in zip(index, getattr(module, kind).shape, strict=True):
            flat = flat * size + i
        return self.names[name] + flat

    def through(self, paths, parameter):
        if not self.alive[parameter]:
            return []
        return [p._replace(members=(*p.members, parameter)) for p in paths]

    def bias(self, module, o):
        if module.bias is None:
            return []
        return self.through([Path(-1)], self.number(module, "bias", o))

    def step(self, module, state):
        return getattr(self, type(module).__name__)(module, state)

    def Sequential(self, module, state):
        for each in module:
            state = self.step(each, state)
        return state

    def Residual(self, module, state):
        a, b = self.step(module.shortcut, state), self.step(module.body, state)
        return {index: a[index] + b[index] for index in a}

    def Identity(self, module, state):
        return state

    def Flatten(self, module, state):
        return {(i,): state[index] for i, index in enumerate(sorted(state))}

    def Linear(self, module, state):
        out = {}
        for o in range(module.out_features):
            out[(o,)] = self.bias(module, o)
            for (i,), paths in state.items():
                out[(o,)] = out[(o,)] + self.through(
                    paths, self.number(module, "weight", o, i)
                )
        return out

    def Conv2d(self, module, state):
        h, w = (1 + max(index[d] for index in state) for d in (1, 2))
        pad, stride, side = module.padding[0], module.stride[0], module.kernel_size[0]
        out = {}
        for o in range(module.out_channels):
            for y in range((h + 2 * pad - side) // stride + 1):
                for x in range((w + 2 * pad - side) // stride + 1):
                    paths = self.bias(module, o)
                    for i in range(module.in_channels):
                        for dy, dx in itertools.product(range(side), repeat=2):
                            at = (i, y * stride + dy - pad, x * stride + dx - pad)
                            number = self.number(module, "weight", o, i, dy, dx)
                            paths = paths + self.through(state.get(at, []), number)
                    out[(o, y, x)] = paths
        return out

    def BatchNorm2d(self, module, state):
        out = {}
        for (c, *rest), paths in state.items():
            factor = float((module.running_var[c] + module.eps) ** -0.5)
            shift = -float(module.running_mean[c])
            paths = paths + ([Path(-1, constant=shift)] if shift else [])
            paths = [p._replace(constant=p.constant * factor) for p in paths]
            out[(c, *rest)] = self.through(
                paths, self.number(module, "weight", c)
            ) + self.bias(module, c)
        return out

    def ReLU(self, module, state):
        path = self.modules[id(module)]
        return {
            index: [p._replace(gates=(*p.gates, ("relu", path, index))) for p in paths]
            for index, paths in state.items()
        }

    LeakyReLU = ReLU

    def scaled(self, state, factor):
        return {
            index: [p._replace(constant=p.constant * factor) for p in paths]
            for index, paths in state.items()
        }

    def Scale(self, module, state):
        return self.scaled(state, module.factor)

    def windows(self, module, state):
        side, stride = module.kernel_size, module.stride
        h, w = (1 + max(index[d] for index in state) for d in (1, 2))
        for c in range(1 + max(index[0] for index in state)):
            for y, x in itertools.product(
                range((h - side) // stride + 1), range((w - side) // stride + 1)
            ):
                yield (
                    (c, y, x),
                    [
                        (c, y * stride + dy, x * stride + dx)
                        for dy, dx in itertools.product(range(side), repeat=2)
                    ],
                )

    def AvgPool2d(self, module, state):
        summed = {
            index: [p for at in window for p in state[at]]
            for index, window in self.windows(module, state)
        }
        return self.scaled(summed, module.kernel_size**-2)

    def MaxPool2d(self, module, state):
        path = self.modules[id(module)]
        return {
            index: [
                p._replace(gates=(*p.gates, ("max", path, tuple(window), at)))
                for at in window
                for p in state[at]
            ]
            for index, window in self.windows(module, state)
        }

    # What follows is linear algebra on the list.

    def products(self):
        return torch.tensor(
            [
                p.constant * float(self.theta[list(p.members)].prod())
                for _, p in self.paths
            ],
            dtype=torch.float64,
        )

    def jacobian(self):
        out = torch.zeros(len(self.paths), len(self.theta), dtype=torch.float64)
        for row, (_, p) in zip(out, self.paths, strict=True):
            for i, member in enumerate(p.members):
                others = [*p.members[:i], *p.members[i + 1 :]]
                row[member] += p.constant * float(self.theta[others].prod())
        return out

    def membership(self):
        out = torch.zeros(len(self.paths), len(self.theta), dtype=torch.float64)
        for row, (_, p) in zip(out, self.paths, strict=True):
            row[list(p.members)] = 1.0
        return out

    def activations(self, x):
        seen, hooks = {}, []
        for path, module in self.net.named_modules():
            hooks.append(module.register_forward_pre_hook(
                lambda m, args, path=path: seen.__setitem__(path, args[0].detach())
            ))  # fmt: skip
        logits = functional_call(self.net, self.by_name(), (x,))
        for hook in hooks:
            hook.remove()
        slopes = {
            p: getattr(m, "negative_slope", 0.0) for p, m in self.net.named_modules()
        }
        n, k = logits.shape
        out = torch.zeros(n, k, len(self.paths), dtype=torch.float64)
        for a in range(n):
            for j, (end, p) in enumerate(self.paths):
                entry = 1.0 if p.source < 0 else float(x[a].flatten()[p.source])
                for kind, path, *where in p.gates:
                    values = seen[path][a]
                    if kind == "relu":
                        entry *= 1.0 if values[where[0]] > 0 else slopes[path]
                    else:
                        window = [float(values[at]) for at in where[0]]
                        entry *= float(where[0][window.index(max(window))] == where[1])
                out[a, end, j] = entry
        return out.flatten(0, 1)

    def by_name(self):
        """The masked parameters, by name and shape."""
        return {
            name: self.theta[start : start + p.numel()].view(p.shape)
            for (name, start), p in zip(
                self.names.items(), self.net.parameters(), strict=True
            )
        }


def tangent_kernel(net, parameters, x):
    """NTK by one backward pass per sample and output, and the Jacobian (n k, P)."""
    parameters = {n: p.detach().clone().requires_grad_() for n, p in parameters.items()}
    rows = []
    for each in x:
        for logit in functional_call(net, parameters, (each[None],))[0]:
            grads = torch.autograd.grad(
                logit, list(parameters.values()), retain_graph=True,
                allow_unused=True, materialize_grads=True,
            )  # fmt: skip
            rows.append(torch.cat([g.flatten() for g in grads]))
    jacobian = torch.stack(rows)
    return jacobian @ jacobian.T, jacobian


def _seeded(make):
    state = torch.get_rng_state()
    torch.manual_seed(0)
    net = make().double().eval()
    torch.set_rng_state(state)
    return net


def _mlp(bias):
    return nn.Sequential(
        nn.Linear(4, 5, bias), nn.ReLU(), nn.Linear(5, 3, bias), nn.ReLU(),
        nn.Linear(3, 2, bias),
    )  # fmt: skip


def _strided():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(),
        nn.Conv2d(2, 2, 3, padding=1, stride=2, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(8, 2, bias=False),
    )  # fmt: skip


def _averaged():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 2), nn.ReLU(),
        nn.AvgPool2d(3), nn.Flatten(), nn.Linear(2, 3),
    )  # fmt: skip


def _pooled():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.LeakyReLU(0.2), nn.MaxPool2d(2, stride=1),
        nn.Conv2d(2, 2, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2),
    )  # fmt: skip


def _normed(moved):
    norms = [nn.BatchNorm2d(2), nn.BatchNorm2d(2)]
    for norm in norms if moved else []:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    body = nn.Sequential(
        nn.Conv2d(2, 2, 3, padding=1, bias=False), norms[1], Scale(-0.5)
    )
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, bias=False), norms[0], nn.ReLU(),
        Residual(body), nn.ReLU(), nn.AvgPool2d(3), nn.Flatten(), nn.Linear(2, 2),
    )  # fmt: skip


def _residual():
    wide = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 4))
    plain = nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.1))
    return nn.Sequential(
        nn.Linear(3, 4), nn.ReLU(), Residual(wide), nn.ReLU(),
        Residual(plain, nn.Linear(4, 4, bias=False)), nn.Linear(4, 2),
    )  # fmt: skip


MAKERS = {
    "mlp": (lambda: _mlp(False), (4,)),
    "mlp_bias": (lambda: _mlp(True), (4,)),
    "strided": (_strided, (1, 4, 4)),
    "averaged": (_averaged, (1, 4, 4)),
    "pooled": (_pooled, (1, 4, 4)),
    "normed": (lambda: _normed(False), (1, 3, 3)),
    "normed_moved": (lambda: _normed(True), (1, 3, 3)),
    "residual": (_residual, (3,)),
}


def make(name):
    """A network in float64 and eval mode, and the shape of one input."""
    maker, in_shape = MAKERS[name]
    return _seeded(maker), in_shape


def flat(tensors):
    return torch.cat([each.detach().flatten() for each in tensors.values()])


@cache
def known(name):
    """Network, shape, enumeration, J and pi of a case; leave the network as it is."""
    net, in_shape = make(name)
    found = Enumerator(net, in_shape)
    return net, in_shape, found, found.jacobian(), found.products()


def inputs(name, n=3):
    generator = seeds.generator(0, "paths", name)
    shape = (n, *MAKERS[name][1])
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def some_masks(net, seed, density=0.6):
    """Random masks of the weights of Linear and Conv layers."""
    generator = seeds.generator(seed, "masks")
    return {
        name: torch.rand(weight.shape, generator=generator) < density
        for name, weight in layers(net).items()
    }
