"""Run the example scripts and write what they reached to docs/examples.md.

    python examples/table.py                     # all of them
    python examples/table.py fashion tables      # these; the others' rows stay as they are
    python examples/table.py --data ../data      # with the prepared data elsewhere

A script takes part when it prints, for each job that it did, a line with one JSON object: ``job``, ``data``,
``split``, ``parameters``, ``figure``, ``baseline`` and ``seconds``, as ``tell`` in ``job.py`` does. Figures
and baselines are texts, numbers, or numbers by name.
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "examples.md"
KEYS = ("job", "data", "split", "parameters", "figure", "baseline", "seconds")
HEAD = """# What the examples reach

`make examples` runs the scripts in `examples/` and writes this page; each is short, runs offline, and ends by
telling what stands in its row. The figure was measured on examples that had no part in training and in
choosing the net; the baseline is the same figure of something simpler, measured in the same run. The data
comes with Retia, or lies in `../shared/data` beside the project, or where `--data` says. The seconds are
those of a machine that had other things to do at the same time.

| job | data | split | parameters | figure | baseline | seconds | measured |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def scripts() -> list[str]:
    """The names of the scripts that tell of jobs."""
    texts = {path.stem: path.read_text(encoding="utf8") for path in sorted(HERE.glob("*.py"))}
    telling = re.compile(r'^ *tell\(|"job": ', re.M)
    return [name for name, text in texts.items() if telling.search(text) and name not in ("job", "table")]


def jobs(output: str) -> list[dict[str, Any]]:
    """What a script tells of its jobs, from the lines that it printed."""
    found = []
    for line in output.splitlines():
        if line.startswith('{"job"'):
            job = json.loads(line)
            missing = [key for key in KEYS if key not in job]
            if missing:
                raise SystemExit(f"A job's line lacks {', '.join(missing)}: {line}")
            found.append(job)
    return found


def run(name: str, *options: str) -> list[dict[str, Any]]:
    """Run a script, letting it print, and answer its jobs."""
    lines = []
    command = [sys.executable, "-u", str(HERE / f"{name}.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(f"{name}.py ended with {process.returncode}; its row stays as it was.")
    return jobs("".join(lines))


def row(name: str, job: dict[str, Any]) -> str:
    """The line of a job in the table."""
    cells = [
        f"[{job['job']}](../examples/{name}.py)", job["data"], job["split"], f"{job['parameters']:,}",
        told(job["figure"]), told(job["baseline"]), f"{job['seconds']:.0f}",
        f"{datetime.date.today()}, {machine()}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def told(value: Any) -> str:
    """Figures in words: ``"test accuracy 0.909"``."""
    if isinstance(value, dict):
        return "; ".join(f"{name} {told(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def machine() -> str:
    """The processor, and how many threads there were."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    return f"{names[0] if names else platform.machine()}, {threads} thread{'s' * (threads > 1)}"


def merged(page: str, name: str, rows: list[str]) -> str:
    """The page with a script's new rows instead of its old ones, in the order of the scripts' names."""
    owner = re.compile(r"^\| \[[^]]*\]\(\.\./examples/(\w+)\.py\)")
    kept = [line for line in page.splitlines() if (found := owner.match(line)) and found[1] != name]
    every = sorted([*kept, *rows], key=lambda line: re.findall(r"examples/(\w+)\.py", line)[0])
    return HEAD + "".join(f"{line}\n" for line in every)


def main() -> None:
    """Run what is asked for; the page is written after each script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scripts", nargs="*", choices=[*scripts(), []], help="all of them when left out")
    parser.add_argument("--data", metavar="DIR", help="folder of the prepared data")
    asked = parser.parse_args()
    for name in asked.scripts or scripts():
        found = run(name, *(["--data", asked.data] if asked.data else []))
        page = PAGE.read_text(encoding="utf8") if PAGE.exists() else ""
        PAGE.write_text(merged(page, name, [row(name, job) for job in found]), encoding="utf8")


if __name__ == "__main__":
    main()
