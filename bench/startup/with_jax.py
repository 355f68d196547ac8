"""One epoch of digits with JAX, as one compiled scan."""

import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn, random

SIZES = (784, 200, 60, 10)
folder, count = Path(os.environ["BENCH_DATA"]), int(os.environ["BENCH_EXAMPLES"])
pixels = np.load(folder / "train_x.npy")[:count].reshape(count, 784).astype(np.float32) / np.float32(255)
x, y = jnp.asarray(pixels), jnp.asarray(np.load(folder / "train_y.npy")[:count], jnp.int32)
rng = np.random.default_rng(0)
arrays = [
    (rng.uniform(-(n**-0.5), n**-0.5, (n, m)).astype("f"), np.zeros(m, "f"))
    for n, m in zip(SIZES, SIZES[1:], strict=False)
]


def judge(arrays, x, y):
    *hidden, last = arrays
    for weight, bias in hidden:
        x = nn.relu(x @ weight + bias)
    outputs = x @ last[0] + last[1]
    loss = -jnp.take_along_axis(nn.log_softmax(outputs), y[:, None], 1).mean()
    return loss, (outputs.argmax(1) == y).sum()


def step(state, row):
    arrays, first, second, done = state
    (loss, hits), pulls = jax.value_and_grad(judge, has_aux=True)(arrays, x[row], y[row])
    done = done + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, pulls)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, pulls)
    rate, scale = 1e-3 / (1 - 0.9**done), 1 / (1 - 0.999**done)
    arrays = jax.tree.map(lambda a, m, v: a - rate * m / (jnp.sqrt(v * scale) + 1e-8), arrays, first, second)
    return (arrays, first, second, done), (loss, hits)


@jax.jit
def epoch(arrays, key):
    rows = random.permutation(key, count)[: count // 128 * 128].reshape(-1, 128)
    zeros = jax.tree.map(jnp.zeros_like, arrays)
    state, (losses, hits) = lax.scan(step, (arrays, zeros, zeros, 0), rows)
    return state, losses.mean(), hits.sum() / count


state, loss, accuracy = epoch(arrays, random.key(0))
print("epoch 1", float(loss), float(accuracy), flush=True)
