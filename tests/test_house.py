"""The rules of the house: which room may know which, what no module holds, what the face shows."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import retia
from retia import layers

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


FACE = """
Adadelta Adagrad Adam AdamW Adamax ArgumentError Array ArraysError Audio Between BinaryCrossEntropy
BinaryFocal Boolean BooleanColumn Boxes Bytes CSV CTC CategoryColumn Chain Characters Classes Codec CodecError
Contrastive CosineDecay CrossEntropy CrossValidation CutMix Data DataError DateColumn Detection EarlyStopping
Error ExponentialDecay Focal FormatError Graph Hinge Huber Image Initial Input JSONLines KL LBFGS Layer
LearningCurve Lion MAE MSE Mask Metric Milestones MissingExtraError MixUp NAdam Net NotYetError NumberColumn
OnPlateau OneCycle Ordinal Poisson PolynomialDecay Port RAdam RMSprop RateTest RetiaWarning SGD Scalar
ShapeError Shared SignSGD Steady StepDecay Steps StructureError Subwords Sweep Table Tags Target Tensor
TensorBoard TimeLimit Tokens Training TrainingError Triplet UnknownNameError Vector Warmup Words calibrated
check codec cross_validate data diff ensemble find_rate from_torch layer learning_curve load measure picture
process replay step sweep train
"""


def public() -> dict[str, object]:
    """What ``import retia`` shows, without the rooms."""
    names = {name: value for name, value in vars(retia).items() if not name.startswith("_")}
    return {name: value for name, value in names.items() if not isinstance(value, ModuleType)}


def test_the_public_names_are_these_and_the_layers() -> None:
    assert set(public()) == {*FACE.split(), *layers.__all__}


def test_every_public_name_has_a_docstring() -> None:
    assert [name for name, value in public().items() if not (value.__doc__ or "").strip()] == []
