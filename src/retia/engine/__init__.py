"""The engine: nets are run here, on any device. The walk is the reference; all else is checked against it.

A call: ``call`` (what ``net(x)`` does), ``intake`` (what people hand over), ``ending``, ``draws``.
A program: ``trace`` (a tape of what PyTorch was asked), ``rewrite`` with its tables ``rules`` and
``folding``, ``plan`` (memory and code) with ``lives``, ``buffers``, ``layouts``, ``strides``, ``source``;
``stack`` makes many nets' tapes one; ``values``, ``pools`` and ``program`` hand programs out.
The machine: ``kernels`` (private parts of PyTorch), ``process``, ``devices``, ``capture``, ``cost``,
``compiled``. Nothing here knows of losses, data or files.
"""
