"""Milliseconds of an answer."""

from collections.abc import Iterator

import workloads
from how import How
from report import Table
from workers import Peer

TITLE = "Inference"
WORDS = """
Milliseconds from a tensor of pictures to raw outputs, the median of the calls of a turn (at least 0.3 s
of calls, one after another); every answer is compared with PyTorch's first. `program` is
`net.program(batch=n)`, `call` is `net(x, None)` with all its checks.
"""
TORCH = (
    ("eager", "eager"),
    ("no_grad", "no_grad"),
    ("inference_mode", "inference_mode"),
    ("frozen", "jit.freeze"),
)
PEERS = (
    Peer("retia", "Retia, program", "peers.retia_net:answer"),
    Peer("retia-call", "Retia, call", "peers.retia_net:answer", {"checked": True}),
    *(Peer(f"torch-{mode}", f"PyTorch, {words}", "peers.torch_net:answer", {"mode": mode}, ("torch",))
      for mode, words in TORCH),
    Peer("onnxruntime", "onnxruntime", "peers.onnx_net:answer", needs=("onnx", "onnxruntime", "torch")),
    Peer("jax", "JAX, jit", "peers.jax_net:answer", needs=("jax",)),
)  # fmt: skip


def measure(how: How) -> Iterator[Table]:
    """A table a net and a batch."""
    for net in how.chosen(("784-200-60-10", "cnn")):
        for batch in (1, 1024):
            size = "one picture" if batch == 1 else f"{batch:,} pictures"
            yield how.table(
                f"{workloads.WORDS[net]}: milliseconds for {size}", PEERS, {"net": net, "batch": batch},
                ours=("retia", "retia-call"), scale=1e3,
            )  # fmt: skip
