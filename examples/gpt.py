"""A small GPT reads Shakespeare letter by letter, and then writes some.

Four Transformer blocks of 128 numbers, 0.83 million parameters, windows of 128 letters. It is trained on the
first 90 % of the plays as they were put together for such nets; the last 10 % is the validation part, and the
figure is the loss there, in nats a letter; as is the custom with this text the same part chooses the epoch,
here the last one. The baseline counts how often a letter follows two others. An epoch takes 200 seconds on
two cores that do nothing else, so all of it ten minutes.

    python examples/gpt.py
"""

import math
from collections import Counter

from job import options, some, tell

import retia as rt

LENGTH, SIZE = 128, 128
asked = options(__doc__, epochs=3)
plays = rt.data("shakespeare")
windows = plays.train.windows(LENGTH, step=32, ahead=1)
held_out = plays.validation.windows(LENGTH, ahead=1)
letters = rt.Characters().fit(plays.train.arrays()["input"])

gpt = rt.Chain(
    rt.Embedding(SIZE),
    rt.PositionEmbedding(LENGTH),
    rt.TransformerEncoder(4, 4, size=SIZE, causal=True),
    rt.Linear(),
    rt.Softmax(),
    input=letters,
    output=letters,
)
run = rt.train(
    gpt,
    some(windows, asked),
    validation=held_out,
    epochs=asked.epochs,
    batch_size=16,
    optimizer=rt.AdamW(3e-3, weight_decay=0.01),
    schedule=rt.OneCycle(),
)
print(run.net.generate("ROMEO:\n", length=600, temperature=0.8, seed=1))


def by_three() -> float:
    """Nats a letter of the validation part where one counts what follows two letters, and one, and none."""
    train, test = (part.arrays()["input"][0] for part in (plays.train, plays.validation))
    counts = [Counter(train[i : i + n] for i in range(len(train) - n + 1)) for n in (1, 2, 3)]
    total = 0.0
    for place in range(2, len(test)):
        chance = counts[0][test[place]] / len(train)
        for n in (1, 2):  # what was seen of the longer context, mixed with the shorter one
            before = test[place - n : place]
            chance = (counts[n][before + test[place]] + 5 * chance) / (counts[n - 1][before] + 5)
        total -= math.log(chance)
    return total / (len(test) - 2)


tell(
    "a small GPT",
    data="tiny Shakespeare, 1,115,394 letters",
    split="first 90 % train, last 10 % validate",
    net=run.net,
    figure={"nats a letter": rt.measure(run.net, held_out).loss},
    baseline={"three letters counted": by_three()},
)
