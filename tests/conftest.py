"""How the tests are run: one thread each, every law sampled, or the full counts with ``--full``.

``@pytest.mark.full`` marks what only the full run does; the fixture ``full`` says which run this is, for
tests that do the same with larger counts.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "sampled", max_examples=25, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile("full", max_examples=300, deadline=None, suppress_health_check=SLOW)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the full counts, as `make check` runs them")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if _is_full(config) else "sampled")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_full(config):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Retia's values are called by their expressions, which are the same in every process."""
    ours = type(val).__module__.partition(".")[0] == "retia"
    return repr(val) if ours and " at 0x" not in repr(val) else None


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether this is the run with the full counts."""
    return _is_full(request.config)


def _is_full(config: pytest.Config) -> bool:
    return bool(config.getoption("--full")) or config.getoption("-m") == "full"
