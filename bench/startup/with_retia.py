"""One epoch of digits with Retia."""

import os

import retia as rt

net = rt.Chain(
    rt.Flatten(), rt.Linear(200), rt.ReLU(), rt.Linear(60), rt.ReLU(), rt.Linear(), rt.Softmax(),
    input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
)  # fmt: skip
digits = rt.data("mnist").train.take(int(os.environ["BENCH_EXAMPLES"]))
rt.train(
    net, digits, validation=0, epochs=1, batch_size=128, progress=False,
    callbacks=lambda view: print("epoch 1", view.entry["loss"], view.entry["accuracy"], flush=True),
)  # fmt: skip
