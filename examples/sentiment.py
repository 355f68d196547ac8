"""Is it praise or blame? Sentences of film reviews, read by the words that they have.

The net averages what it learned of each word, so it does not know their order; five of them, each from its
own seed, decide together. SST-2 comes in three parts: the first is learned from, the second chooses the
epoch, the third is measured on once. The baseline is what one would do without a net, TF-IDF of single words
and a logistic regression, its strength chosen by the second part too. It takes about half a minute.

    python examples/sentiment.py
"""

from job import options, prepared, some, tell

import retia as rt

asked = options(__doc__, epochs=6)


def sentences(part: str) -> rt.Data:
    """A part of the set: a sentence and "0" (blame) or "1" (praise) in each line."""
    path = prepared(asked, f"text/sst2_{part}.tsv.gz")
    return rt.data(path, header=["text", "label"], types={"label": str}, input="text", output="label")


train, validation, test = some(sentences("train"), asked), sentences("dev"), sentences("test")

net = rt.Chain(
    rt.Embedding(64, init=rt.Initial("normal", std=0.02)),  # a word that was seldom seen says little
    rt.Dropout(0.5),
    rt.Reduce("mean", axes=0),
    rt.Linear(),
    rt.Softmax(),
    input=rt.Words(lower=True, least=2),
    output=rt.Classes(["0", "1"]),
)
runs = rt.train(
    net, train, validation=validation, epochs=asked.epochs, optimizer=rt.Adam(3e-3), seed=range(5)
)
together = rt.ensemble([run.net for run in runs])
for text in ("a warm , funny , engaging film", "it 's slow -- very , very slow", "not bad at all"):
    print(f"{together(text)}  {text}")


def by_words() -> float:
    """Accuracy of TF-IDF and a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    parts = [each.arrays() for each in (train, validation, test)]
    fitted = [
        make_pipeline(TfidfVectorizer(), LogisticRegression(C=c, max_iter=1000)).fit(*parts[0].values())
        for c in (0.3, 1, 3, 10)
    ]
    best = max(fitted, key=lambda each: each.score(*parts[1].values()))
    return float(best.score(*parts[2].values()))


tell(
    "praise or blame",
    data="SST-2, 9,613 sentences",
    split="6,920 train, 872 validate, 1,821 test",
    net=runs[0].net,
    figure={
        "test accuracy": rt.measure(together, test).accuracy,
        "mean of the five": sum(rt.measure(run.net, test).accuracy for run in runs) / len(runs),
    },
    baseline={"TF-IDF and logistic regression": by_words()},
)
