"""``import retia`` and ``retia --help`` answer at once: they import nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "PIL", "matplotlib", "rich", "safetensors")
NET = "rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), rt.Softmax(), input=2)"


def heavy_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has imported after some code."""
    told = f"{code}\nimport sys\nprint('heavy:', *[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True)
    return done.stdout.rpartition("heavy:")[2].split()


@pytest.mark.parametrize(
    "code",
    [
        "import retia",
        f"import retia as rt; net = {NET}; repr(net), net.count, net.why('0.weight'), net == net[:]",
        f"import retia as rt; print({NET})",
        f"import retia as rt; {NET}._repr_mimebundle_()",
    ],
    ids=["import", "values", "table", "notebook"],
)
def test_the_core_answers_without_heavy_packages(code: str) -> None:
    assert heavy_after(code) == []


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"], ["--version"], ["completion", "zsh"]])
def test_help_needs_no_heavy_packages(args: list[str]) -> None:
    code = f"""
import sys
from retia.cli import main
sys.argv = ["retia", *{args}]
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
"""
    assert heavy_after(code) == []


def test_no_module_imports_a_heavy_package_when_it_is_imported() -> None:
    code = """
import importlib, pkgutil, retia
for module in pkgutil.walk_packages(retia.__path__, "retia."):
    if module.name != "retia.__main__":
        importlib.import_module(module.name)
"""
    assert heavy_after(code) == []


def test_a_heavy_package_is_noticed_by_these_tests() -> None:
    assert heavy_after("import PIL") == ["PIL"]
