"""A layer that is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from retia.errors import ArgumentError, StructureError
from retia.nets.layer import Layer, layer
from retia.nets.settings import setting
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


def read_form(name: str, value: Any) -> str:
    """The rule of a signature that the user gives."""
    try:
        _ = signature(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise ArgumentError(
            f"{name} is a signature such as 'c h w -> c y x'; got {value!r}.",
            because=[str(error)] if isinstance(value, str) else (),
            got=value,
        ) from None
    return " ".join(value.split())


@layer
class Placeholder(Layer):
    """An operation that is filled in later: it has ports and shapes, and does not compute.

    A net with one can be printed, drawn and checked; sizes go through it as its signature says. Dimensions
    of one name are one size, ``*s`` is any number of them, and ports may have names:
    ``"query: m d, key: n d -> m n"``.

    Shape:  as the signature says; (*s) -> (*t) by default, two shapes that have nothing to do with each other
    Args:
        form: the signature.
    Raises:
        StructureError: it is computed.
    Example:
        >>> import retia as rt
        >>> sketch = rt.Chain(encode=rt.Placeholder("c h w -> 64"), decide=rt.Linear(10), input=(3, 32, 32))
        >>> sketch.array_shapes()["decide.weight"]
        (10, 64)
    """

    axes = {"*": "pass"}
    kinds = {"*": "any"}

    form: str = setting(read_form, default="*s -> *t")

    def ports(self, arity: int | None = None) -> Signature:
        return signature(self.form)

    def forward(self, *x: Tensor, moment: Any) -> NoReturn:
        path = moment.node.path or "it"
        name = path.rpartition(".")[2]
        keyword = f"{name}=" if name.isidentifier() else ""
        raise StructureError(
            f"{path} ({self.brief}) holds a place and does not compute.",
            fix=f"make the net with a layer in its place: {keyword}rt.Linear(...), say",
            path=path,
        )
