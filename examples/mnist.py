"""The simplest net that reads handwritten digits, from its expression to its answers.

784 pixels, one linear layer, ten probabilities: 7,850 parameters. Ten epochs of plain gradient descent
take well under a minute and need no network.

    python examples/mnist.py
"""

import retia as rt

digits = rt.data("mnist")

net = rt.Chain(
    rt.Flatten(),
    rt.Linear(10),
    rt.Softmax(),
    input=rt.Image(28, 28, color="gray"),
    output=rt.Classes(range(10)),
)
print(net)

run = rt.train(net, digits, epochs=10, batch_size=64, optimizer=rt.SGD(0.01), seed=0)
print(f"accuracy on pictures it never saw: {rt.measure(run.net, digits.test).accuracy:.1%}")

some = digits.test.take(20).arrays()
probabilities = run.net(some["input"], None)
print("probabilities", tuple(probabilities.shape))
print("answers ", *run.net(some["input"]))
print("labels  ", *some["output"])
