"""LeNet names clothes: Fashion-MNIST, ten kinds of garments in pictures of 28 x 28 gray pixels.

Of the 60,000 training pictures a tenth validates: the net of the epoch with the lowest validation loss is the
one that counts. The 10,000 test pictures are looked at once, at the end; the figure is the share of them that
is named rightly. It takes two to three minutes on one core.

    python examples/fashion.py
"""

from job import options, prepared, some, tell

import retia as rt

NAMES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")

asked = options(__doc__, epochs=10)
clothes = rt.data(prepared(asked, "fashion_mnist")).map(output=lambda number: NAMES[number])
train, validation = some(clothes.train, asked).split(0.9)

lenet = rt.Chain(
    rt.Conv2d(20, 5), rt.ReLU(), rt.MaxPool2d(2),
    rt.Conv2d(50, 5), rt.ReLU(), rt.MaxPool2d(2),
    rt.Flatten(), rt.Dropout(0.3), rt.Linear(500), rt.ReLU(), rt.Dropout(0.3), rt.Linear(), rt.Softmax(),
    input=rt.Image(28, 28, color="gray"), output=rt.Classes(NAMES),
)  # fmt: skip
linear = rt.Chain(rt.Flatten(), rt.Linear(), rt.Softmax(), input=lenet.input, output=lenet.output)
how = {"validation": validation, "epochs": asked.epochs, "schedule": rt.CosineDecay()}
simple = rt.train(linear, train, **how)
run = rt.train(lenet, train, **how)

measured = rt.measure(run.net, clothes.test)
print(measured)
print(measured.confusion.worst(3))

tell(
    "LeNet names clothes",
    data="Fashion-MNIST, 70,000 pictures",
    split="54,000 train, 6,000 validate, 10,000 test",
    net=run.net,
    figure={"test accuracy": measured.accuracy},
    baseline={"linear net": rt.measure(simple.net, clothes.test).accuracy},
)
