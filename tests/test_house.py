"""The rules of the house: which room may know which, what no module holds, what the face shows."""

import re
import subprocess
import sys
from pathlib import Path

import retia

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src" / "retia").rglob("*.py"))


def test_rooms_import_downward_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_module_names_a_place_on_a_machine() -> None:
    place = re.compile(r"""["' =](/(home|root|tmp|work|usr|opt|etc|var|Users|mnt)/|[A-Z]:\\\\)""")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1)
        if place.search(line)
    ]
    assert found == []


def test_every_module_says_what_it_is() -> None:
    bare = [str(path.relative_to(ROOT)) for path in SOURCES if not path.read_text().startswith('"""')]
    assert bare == []


def test_public_names_are_imported_from_their_homes_and_nothing_else_is() -> None:
    own = {name for name in vars(retia) if not name.startswith("_")}
    modules = {name for name in own if type(vars(retia)[name]).__name__ == "module"}
    homeless = {name for name in own - modules if not vars(retia)[name].__module__.startswith("retia.")}
    assert homeless == set()
