"""JAX: a whole epoch in one compiled scan for dense nets, a compiled step for convolutions.

XLA's convolutions on a processor are far slower inside a loop, so there the loop is Python's. Adam is
written out, for JAX has no optimizers of its own.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import workloads
from jax import lax, nn, random
from turns import Turns

from peers.common import Unable, timed_calls

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
Arrays = list[tuple[jax.Array, jax.Array]]


def train(turns: Turns, folder: str, net: str, examples: int, **_: Any) -> dict[str, float]:
    """An epoch a turn."""
    spec = workloads.NETS[net]
    state = start(workloads.channels_last(spec, workloads.weights(folder, net)))
    x, y = resident(folder, examples)
    epoch = (
        stepwise(spec, workloads.BATCH) if workloads.is_convolutional(spec) else scan(spec, workloads.BATCH)
    )
    key = random.key(0)
    while turns.go() is not None:
        key, own = random.split(key)
        state, loss, right = epoch(state, x, y, own)
        turns.done(loss=float(loss), accuracy=float(right))
    return {"test": _test(spec, state[0], folder)}


def resident(folder: str, count: int | None = None, part: str = "train") -> tuple[jax.Array, jax.Array]:
    """Pictures as float32 (n, 28, 28, 1) and labels."""
    x, y = workloads.digits(folder, part, count=count)
    return jnp.asarray(workloads.scaled(x)[..., None]), jnp.asarray(y, jnp.int32)


def start(arrays: workloads.Weights) -> tuple[Any, Any, Any, jax.Array]:
    """Arrays, Adam's two memories, and the count of steps."""
    own = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in arrays]
    return own, jax.tree.map(jnp.zeros_like, own), jax.tree.map(jnp.zeros_like, own), jnp.zeros((), jnp.int32)


def logits(spec: workloads.Spec, arrays: Arrays, x: jax.Array) -> jax.Array:
    """The net."""
    own = iter(arrays)
    for kind, *numbers in spec:
        if kind == "conv":
            weight, bias = next(own)
            pad = [(numbers[2], numbers[2])] * 2
            x = lax.conv_general_dilated(x, weight, (1, 1), pad, dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = x + bias
        elif kind == "pool":
            n, height, width, channels = x.shape
            x = x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
        elif kind == "flatten":
            x = x.reshape(x.shape[0], -1)
        elif kind == "dense":
            weight, bias = next(own)
            x = x @ weight + bias
        else:
            x = nn.relu(x) if kind == "relu" else nn.sigmoid(x)
    return x


def step_of(spec: workloads.Spec) -> Callable[[Any, jax.Array, jax.Array], Any]:
    """One step of Adam: the next state, the loss and the hits."""

    def judge(arrays: Arrays, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        outputs = logits(spec, arrays, x)
        loss = -jnp.take_along_axis(nn.log_softmax(outputs), y[:, None], 1).mean()
        return loss, (outputs.argmax(1) == y).sum()

    def step(state: Any, x: jax.Array, y: jax.Array) -> Any:
        arrays, first, second, count = state
        (loss, hits), pulls = jax.value_and_grad(judge, has_aux=True)(arrays, x, y)
        count = count + 1
        first = jax.tree.map(lambda m, g: FIRST * m + (1 - FIRST) * g, first, pulls)
        second = jax.tree.map(lambda v, g: SECOND * v + (1 - SECOND) * g * g, second, pulls)
        rate = workloads.RATE / (1 - FIRST**count)
        scale = 1 / (1 - SECOND**count)
        arrays = jax.tree.map(
            lambda a, m, v: a - rate * m / (jnp.sqrt(v * scale) + TINY), arrays, first, second
        )
        return (arrays, first, second, count), loss, hits

    return step


def scan_of(spec: workloads.Spec, batch: int) -> Callable[..., Any]:
    """An epoch as one scan over a random order; not compiled yet."""
    step = step_of(spec)

    def epoch(state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        steps = len(x) // batch
        rows = random.permutation(key, len(x))[: steps * batch].reshape(steps, batch)

        def body(state: Any, row: jax.Array) -> Any:
            state, loss, hits = step(state, x[row], y[row])
            return state, (loss, hits)

        state, (losses, hits) = lax.scan(body, state, rows)
        return state, losses.mean(), hits.sum() / (steps * batch)

    return epoch


def scan(spec: workloads.Spec, batch: int) -> Callable[..., Any]:
    """The compiled epoch; it may use the state's memory again."""
    return jax.jit(scan_of(spec, batch), donate_argnums=0)


def stepwise(spec: workloads.Spec, batch: int) -> Callable[..., Any]:
    """An epoch of compiled steps, called from Python."""
    step = step_of(spec)

    def gathered(state: Any, x: jax.Array, y: jax.Array, row: jax.Array, totals: Any) -> Any:
        state, loss, hits = step(state, x[row], y[row])
        return state, (totals[0] + loss, totals[1] + hits)

    compiled = jax.jit(gathered, donate_argnums=0)

    def epoch(state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        steps = len(x) // batch
        rows = np.asarray(random.permutation(key, len(x)))[: steps * batch].reshape(steps, batch)
        totals = (jnp.zeros(()), jnp.zeros((), jnp.int32))
        for row in rows:
            state, totals = compiled(state, x, y, row, totals)
        return state, totals[0] / steps, totals[1] / (steps * batch)

    return epoch


def seeds(
    turns: Turns, folder: str, net: str, count: int, epochs: int, examples: int, **_: Any
) -> dict[str, float]:
    """Whole trainings of several seeds at once through vmap, in one order for all, a turn."""
    spec = workloads.NETS[net]
    x, y = resident(folder, examples)
    compiled = jax.jit(
        jax.vmap(scan_of(spec, workloads.BATCH), in_axes=(0, None, None, None)), donate_argnums=0
    )
    state: Any = None
    while turns.go() is not None:
        rng = np.random.default_rng(0)
        states = [start(_drawn(spec, rng)) for _ in range(count)]
        state = jax.tree.map(lambda *each: jnp.stack(each), *states)
        for epoch in range(epochs):
            state, loss, _right = compiled(state, x, y, random.key(epoch))
        jax.block_until_ready(loss)
        turns.done()
    tests = [_test(spec, jax.tree.map(lambda a, i=i: a[i], state[0]), folder) for i in range(count)]
    return {"test": float(np.mean(tests))}


def grow(turns: Turns, folder: str, **_: Any) -> None:
    """The best epoch after the first, of the net and the numbers that each turn asks for."""
    x, y = resident(folder)
    while (asked := turns.go()) is not None:
        spec, examples = asked["spec"], asked["examples"]
        state = start(_drawn(spec, np.random.default_rng(0)))
        epoch = scan(spec, asked["batch"])
        own, labels, seconds = x[:examples], y[:examples], []
        for count in range(asked["epochs"]):
            begin = time.perf_counter()
            state, loss, _right = epoch(state, own, labels, random.key(count))
            jax.block_until_ready(loss)
            seconds.append(time.perf_counter() - begin)
        turns.done(seconds=min(seconds[1:]))


def answer(turns: Turns, folder: str, net: str, batch: int, **_: Any) -> None:
    """A batch of pictures as float32 numbers on the device, to logits, compiled."""
    spec = workloads.NETS[net]
    arrays = start(workloads.channels_last(spec, workloads.weights(folder, net)))[0]
    x, reference = workloads.questions(folder, net, batch)
    given = jnp.asarray(x.transpose(0, 2, 3, 1))
    compiled = jax.jit(lambda x: logits(spec, arrays, x))
    timed_calls(turns, lambda: compiled(given).block_until_ready(), reference)


def _drawn(spec: workloads.Spec, rng: np.random.Generator) -> workloads.Weights:
    if workloads.is_convolutional(spec):
        raise Unable("only dense nets are drawn here")
    shapes = [shape for _, shape in workloads.sides(spec)]
    bounds = [before**-0.5 for _, before in shapes]
    return [
        (rng.uniform(-b, b, (before, size)).astype("f"), rng.uniform(-b, b, size).astype("f"))
        for b, (size, before) in zip(bounds, shapes, strict=True)
    ]


def _test(spec: workloads.Spec, arrays: Arrays, folder: str) -> float:
    x, y = resident(folder, part="test")
    found = jnp.concatenate([logits(spec, arrays, x[i : i + 1000]).argmax(1) for i in range(0, 10_000, 1000)])
    return float((found == y).mean())
