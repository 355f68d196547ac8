"""Nets in files. A file is data: reading one imports, evaluates and unpickles nothing.

``file`` saves and loads nets; ``header`` is the strict reader of what stands before the arrays,
``strict`` that of JSON, ``foreign`` names what is no net, ``atomic`` writes whole files or none.
"""

from retia.formats.file import load

__all__ = ["load"]
