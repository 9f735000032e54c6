import os
import subprocess
import sys
from pathlib import Path

HASH = """
import hashlib, torch
from paicore import nets, prune, seeds
net = nets.build("resnet20", in_shape=(3, 32, 32), width=10,
                 generator=seeds.generator(0, "threads"))
g = seeds.generator(1, "threads")
x, y = torch.randn(20, 3, 32, 32, generator=g), torch.arange(20) % 10
for name in ("snip", "grasp", "synflow"):
    kept = prune(net, name, density=0.05, batch=(x, y), rounds=2)
    flat = b"".join(m.numpy().tobytes() for m in kept.values())
    print(name, kept.total, hashlib.sha256(flat).hexdigest())
print(torch.get_num_threads())
"""


def test_float64_masks_are_equal_across_one_and_two_threads():
    out = []
    for threads in ("1", "2"):
        env = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        root = str(Path(__file__).resolve().parent.parent)
        env["PYTHONPATH"] = root
        out.append(
            subprocess.run(
                [sys.executable, "-c", HASH], env=env, capture_output=True, text=True,
                check=True,
            ).stdout.splitlines()
        )  # fmt: skip
    assert out[0][:-1] == out[1][:-1]
    assert int(out[0][0].split()[1]) > 100_000
    assert out[0][-1] == "1"
    if (os.cpu_count() or 1) > 1:
        assert out[1][-1] == "2"
