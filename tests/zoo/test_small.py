import pytest

import retia as rt
from retia.zoo.small import convolutional, dense, lenet


def accuracy(net: rt.Net, **how: object) -> float:
    """On the test part of MNIST, after a seeded training."""
    digits = rt.data("mnist")
    run = rt.train(net, digits, seed=0, progress=False, **how)
    return float(rt.measure(run.net, digits.test).accuracy)


@pytest.mark.parametrize(
    ("sizes", "count"), [((784, 10), 7_850), ((784, 15, 10), 11_935), ((784, 200, 60, 10), 169_670)]
)
def test_dense_nets_have_a_weight_a_connection_and_a_bias_a_unit(sizes: tuple[int, ...], count: int) -> None:
    assert dense(sizes).count == count


@pytest.mark.parametrize(
    ("activation", "kind"), [("relu", rt.ReLU), ("sigmoid", rt.Sigmoid), ("tanh", rt.Tanh)]
)
def test_hidden_layers_have_the_activation_that_was_asked_for(activation: str, kind: type) -> None:
    kinds = [type(layer) for _, layer in dense([16, 4, 3, 2], activation=activation, labels="ab").layers()]
    assert kinds == [rt.Flatten, rt.Linear, kind, rt.Linear, kind, rt.Linear, rt.Softmax]


@pytest.mark.parametrize(
    "net", [dense([784, 15, 10]), lenet(), convolutional(28, color="gray", labels=range(10))]
)
def test_they_answer_a_label_for_a_picture(net: rt.Net) -> None:
    picture = rt.data("mnist").test[0][0]
    assert net.init(seed=0)(picture) in range(10)


@pytest.mark.parametrize("net", [dense([784, 15, 10], labels=None), lenet(labels=None), convolutional()])
def test_labels_can_be_left_to_the_data(net: rt.Net) -> None:
    assert net.outputs["output"].codec == rt.Classes()


@pytest.mark.parametrize("sizes", [[], [784], [783, 10], [784, 0, 10], [-4, 10]])
def test_sizes_that_are_no_picture_are_refused(sizes: list[int]) -> None:
    with pytest.raises(rt.ArgumentError, match="from a square picture's pixels to classes"):
        dense(sizes)


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(rt.ArgumentError, match="activation is one of relu, sigmoid, tanh; got 'rely'"):
        dense([784, 10], activation="rely")


@pytest.mark.full
def test_the_net_of_the_demo_reads_97_of_100_digits() -> None:
    assert accuracy(dense([784, 200, 60, 10]), epochs=5, batch_size=128) >= 0.97


@pytest.mark.full
def test_fifteen_sigmoids_read_92_of_100_digits() -> None:
    assert accuracy(dense([784, 15, 10], activation="sigmoid"), epochs=10) >= 0.92


@pytest.mark.full
def test_lenet_reads_988_of_1000_digits() -> None:
    assert accuracy(lenet(), epochs=3) >= 0.988
