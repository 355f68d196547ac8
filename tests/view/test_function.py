"""Nets of one number as curves: the lines are the functions and derivatives that PyTorch has."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import retia as rt


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (rt.ReLU(), torch.relu),
        (rt.GELU(), torch.nn.functional.gelu),
        (rt.LeakyReLU(0.3), lambda x: torch.nn.functional.leaky_relu(x, 0.3)),
        (rt.Softplus(), torch.nn.functional.softplus),
        (rt.PReLU(shared=True).init(), lambda x: torch.nn.functional.prelu(x, torch.tensor([0.25]))),
        (rt.Elementwise("sin"), torch.sin),
        (rt.Chain(rt.Tanh(), rt.Sigmoid()), lambda x: torch.sigmoid(torch.tanh(x))),
    ],
)
def test_the_lines_are_the_function_and_its_derivative(layer, function):
    place = layer.plot(low=-3, high=2).axes[0]
    curve, slope = (line for line in place.lines if not line.get_label().startswith("_"))
    x = torch.tensor(np.linspace(-3, 2, 401), dtype=torch.float32, requires_grad=True)
    y = function(x)
    (derivative,) = torch.autograd.grad(y.sum(), x)
    assert np.allclose(curve.get_xdata(), x.detach())
    assert np.allclose(curve.get_ydata(), y.detach(), atol=1e-6)
    assert np.allclose(slope.get_ydata(), derivative, atol=1e-6)
    assert curve.get_label() == (repr(layer) if len(repr(layer)) <= 30 else type(layer).__name__)


def test_a_net_of_one_number_is_a_curve_too():
    net = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(1), input=1).init(0)
    own = Figure().subplots()
    assert net.plot(ax=own) is own
    line = next(line for line in own.lines if line.get_label() == "Chain")
    x = np.linspace(-4, 4, 401, dtype=np.float32)[:, None]
    assert np.allclose(line.get_ydata(), net(x, None)[:, 0], atol=1e-6)


def test_nets_of_more_numbers_and_empty_ranges_are_refused():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Linear(2, input=3).init().plot()
    assert str(caught.value) == (
        "plot draws nets of one number, that give one.\n  fix   net.diagram() and net.show() are for any net"
    )
    with pytest.raises(rt.ArgumentError, match="plot: low is below high; got 1 and 1"):
        rt.ReLU().plot(low=1, high=1)
