"""A recommender of two embeddings: what a user thinks of an item, from ratings of other pairs.

No free set of ratings comes with the project, so the ratings are MADE here, from a seed: 600 users and 400
items, with four tastes each. A rating is 3.5, plus how kind the user and how good the item is, plus how well
their tastes fit, plus noise of deviation 0.5. So it is known how good a recommender can be. Each user has
rated 100 items; 60 % of the ratings train, 20 % validate, 20 % test.

The net learns a vector and a number for each user and each item, and multiplies the vectors. The figure is
the root of the mean squared error on the test part; the baselines are two simpler guesses, and the noise
alone. It takes a few seconds.

    python examples/recommender.py
"""

import numpy as np
from job import options, some, tell

import retia as rt

USERS, ITEMS, TASTES = 600, 400, 4


def ratings() -> rt.Data:
    """Made ratings; ``truth`` is what they would be without noise."""
    draw = np.random.default_rng(0)
    user = np.repeat(np.arange(USERS), 100)
    item = np.concatenate([draw.permutation(ITEMS)[:100] for _ in range(USERS)])
    kind, good = draw.normal(0, 0.4, USERS), draw.normal(0, 0.4, ITEMS)
    likes, has = draw.normal(0, 0.6, (USERS, TASTES)), draw.normal(0, 0.6, (ITEMS, TASTES))
    truth = 3.5 + kind[user] + good[item] + (likes[user] * has[item]).sum(1)
    return rt.data(
        {"user": user, "item": item, "rating": truth + draw.normal(0, 0.5, len(user)), "truth": truth}
    )


def means(train: rt.Data, test: rt.Data) -> np.ndarray:
    """What the user gives on average, and how much more or less the item gets."""
    known, asked_of = train.arrays(), test.arrays()
    middle = known["rating"].mean()
    guess = np.full(len(test), middle)
    for by in ("user", "item"):
        total = np.bincount(known[by], known["rating"] - middle, minlength=USERS)
        times = np.bincount(known[by], minlength=USERS) + 1  # few ratings say little: as if one were the mean
        guess += (total / times)[asked_of[by]]
    return guess


asked = options(__doc__, epochs=15)
train, validation, test = some(ratings(), asked).split((0.6, 0.2, 0.2))

small = rt.Initial("normal", std=0.1)
user, item = rt.Input(name="user"), rt.Input(name="item")
fit = rt.Embedding(8, init=small)(user) @ rt.Embedding(8, init=small)(item)
net = rt.Graph(
    {"rating": fit + rt.Embedding(1, init=small)(user) + rt.Embedding(1, init=small)(item)},
    input={"user": rt.Classes(range(USERS)), "item": rt.Classes(range(ITEMS))},
    output={"rating": rt.Scalar(normalize="data")},
)
how = {"epochs": asked.epochs, "optimizer": rt.Adam(3e-3), "l2": 5e-5}
run = rt.train(net, train, validation=validation, **how)

held = test.arrays()
guesses = {
    "embeddings": np.array(run.net({"user": held["user"], "item": held["item"]})),
    "mean of all ratings": train.arrays()["rating"].mean(),
    "means of user and item": means(train, test),
    "noise alone": held["truth"],
}
errors = {name: float(np.sqrt(np.mean((guess - held["rating"]) ** 2))) for name, guess in guesses.items()}
best = run.net({"user": [0] * ITEMS, "item": range(ITEMS)})
print("User 0 would like", np.argsort(best)[::-1][:5], "most.")

tell(
    "recommender of two embeddings",
    data="60,000 ratings, made by a formula with noise",
    split="60 % train, 20 % validate, 20 % test",
    net=run.net,
    figure={"test RMSE": errors.pop("embeddings")},
    baseline=errors,
)
