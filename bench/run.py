"""Measure Retia against its peers, in the same run, and write ``bench/RESULTS.md``.

    python bench/run.py                                     # everything
    python bench/run.py training inference --rounds 9
    python bench/run.py training --nets cnn --peers torch-best jax
    python bench/run.py training --examples 2560 --try      # a look at whether it works; writes nothing

A peer that is not installed, or that fails, is a line under its table. Sections that are not measured stay in
the file as they are. Every round lies in ``bench/results.json``, which is not kept in the repository.
"""

import argparse
import datetime
import tempfile
from pathlib import Path
from types import ModuleType

import machine
import report
import workloads
from how import How
from sections import (
    diagram,
    folds,
    growth,
    imports,
    inference,
    memory,
    seeds,
    startup,
    streaming,
    training,
    transfer,
)

SECTIONS = {
    "training": training, "transfer": transfer, "inference": inference, "startup": startup, "seeds": seeds,
    "folds": folds, "streaming": streaming, "memory": memory, "growth": growth, "import": imports,
    "diagram": diagram,
}  # fmt: skip
RESULTS = Path(__file__).parent / "RESULTS.md"
ROUNDS = 7


def main() -> None:
    """Measure the sections that are asked for, and write each when it is done."""
    asked = arguments()
    with tempfile.TemporaryDirectory() as folder:
        workloads.prepare(folder)
        how = How(
            folder, asked.rounds, asked.peers, asked.nets, asked.examples, asked.limit, asked.patience,
            not asked.trial,
        )  # fmt: skip
        for name in asked.sections or SECTIONS:
            measure(SECTIONS[name], how)


def measure(part: ModuleType, how: How) -> None:
    """One section, from its first round to the file."""
    title, words = part.TITLE, part.WORDS
    tables = list(part.measure(how))
    rounds = f"{how.rounds} round{'s' * (how.rounds > 1)}"
    stamp = f"Measured on {datetime.date.today()}, {rounds}. {machine.described()}. {machine.versions()}."
    text = report.section(title, words, stamp, [table.markdown() for table in tables])
    print(text, flush=True)
    if how.keep:
        report.merge(RESULTS, {title: text}, [each.TITLE for each in SECTIONS.values()])
        report.remember(RESULTS.with_name("results.json"), title, stamp, tables)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Measure Retia against its peers.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all of them when left out")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"that count; {ROUNDS}")
    parser.add_argument("--peers", nargs="*", default=[], metavar="WORD", help="only those whose key has it")
    parser.add_argument("--nets", nargs="*", default=[], choices=workloads.NETS, help="only these")
    parser.add_argument("--examples", type=int, default=workloads.EXAMPLES, help="of an epoch")
    parser.add_argument("--limit", type=float, default=900, metavar="S", help="seconds a turn may take")
    parser.add_argument(
        "--patience", type=float, default=90, metavar="S", help="a longer first turn: three rounds only"
    )
    parser.add_argument("--try", dest="trial", action="store_true", help="print, and write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
