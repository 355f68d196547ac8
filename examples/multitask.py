"""One net, two answers: which digit a picture shows, and whether it is even. MNIST.

Both answers come from the same convolutions; each has its own last layer and its own loss, and ``loss=`` says
how much each counts. For comparison the same net is trained for one answer alone.

54,000 pictures train, 6,000 validate, and the 10,000 of the test part are looked at once, at the end: the
figures are the shares of them that are answered rightly. It takes a minute and a half on one core.

    python examples/multitask.py
"""

from typing import Any

from job import options, some, tell

import retia as rt

asked = options(__doc__, epochs=3)
digits = rt.data("mnist").map(digit=lambda pair: pair[1], even=lambda pair: bool(pair[1] % 2 == 0))
train, validation = some(digits.train, asked).split(0.9)

picture = rt.Input(name="input")
seen = rt.Chain(
    rt.Conv2d(16, 5), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(32, 5), rt.ReLU(), rt.MaxPool2d(2),
    rt.Flatten(), rt.Linear(128), rt.ReLU(),
)(picture)  # fmt: skip
net = rt.Graph(
    {"digit": rt.Softmax()(rt.Linear()(seen)), "even": rt.Sigmoid()(rt.Linear(1)(seen))},
    input={"input": rt.Image(28, 28, color="gray")},
    output={"digit": rt.Classes(range(10)), "even": rt.Boolean()},
)
print(net)


def trained(**loss: Any) -> rt.Net:
    """The net of the best epoch, for these losses; an output without one is not trained."""
    return rt.train(net, train, validation=validation, epochs=asked.epochs, loss=loss).net


both = trained(digit="cross-entropy", even=("binary cross-entropy", 0.5))
measured = rt.measure(both, digits.test)
print(measured)
print(both(digits.test[0]["input"]))
alone = {
    "digit": trained(digit="cross-entropy"),
    "even": trained(even="binary cross-entropy"),
}

tell(
    "digit and parity by one net",
    data="MNIST, 70,000 pictures",
    split="54,000 train, 6,000 validate, 10,000 test",
    net=both,
    figure={f"test accuracy, {name}": measured[name].accuracy for name in alone},
    baseline={f"{name} alone": rt.measure(each, digits.test)[name].accuracy for name, each in alone.items()},
)
