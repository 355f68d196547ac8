"""Figures by name: what each is of, which direction is better, and the spellings that are understood."""

from __future__ import annotations

import re
from dataclasses import dataclass

from retia.errors import ArgumentError, did_you_mean
from retia.metrics.formulas import AVERAGES
from retia.metrics.scores import BOOLEAN, BOXES, CLASSES, NUMBERS, ORDERED

HIGHER, LOWER = "higher", "lower"
DECIDED = (CLASSES, ORDERED, BOOLEAN)


@dataclass(frozen=True)
class Figure:
    """A figure that can be asked for by name.

    Attributes:
        name: as it is called here.
        senses: of which outputs it is.
        better: ``"higher"`` or ``"lower"``.
        whole: whether it needs all examples at once, and so is not there while batches are added up.
    """

    name: str
    senses: tuple[str, ...]
    better: str = HIGHER
    whole: bool = False


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("accuracy", DECIDED),
        Figure("error_rate", DECIDED, LOWER),
        Figure("balanced_accuracy", DECIDED),
        Figure("mean_iou", DECIDED),
        Figure("precision", DECIDED),
        Figure("recall", DECIDED),
        Figure("f1", DECIDED),
        Figure("cohen_kappa", DECIDED),
        Figure("matthews", DECIDED),
        Figure("auc", DECIDED, whole=True),
        Figure("average_precision", DECIDED, whole=True),
        Figure("log_loss", DECIDED, LOWER),
        Figure("perplexity", DECIDED, LOWER),
        Figure("brier", DECIDED, LOWER),
        Figure("calibration_error", DECIDED, LOWER),
        Figure("sequence_accuracy", DECIDED),
        Figure("edit_distance", DECIDED, LOWER, whole=True),
        Figure("mse", (NUMBERS,), LOWER),
        Figure("rmse", (NUMBERS,), LOWER),
        Figure("mae", (NUMBERS, ORDERED), LOWER),
        Figure("median_absolute_error", (NUMBERS,), LOWER, whole=True),
        Figure("max_error", (NUMBERS,), LOWER, whole=True),
        Figure("r2", (NUMBERS,)),
        Figure("explained_variance", (NUMBERS,)),
        Figure("mean_average_precision", (BOXES,), whole=True),
        Figure("map_50", (BOXES,), whole=True),
        Figure("map_75", (BOXES,), whole=True),
    )
}

_ALIASES = {
    "accuracy": "acc categoricalaccuracy sparsecategoricalaccuracy binaryaccuracy tokenaccuracy "
    "multiclassaccuracy accuracyscore",
    "error_rate": "error zerooneloss",
    "balanced_accuracy": "balancedaccuracyscore",
    "mean_iou": "iou miou meaniou jaccard jaccardscore jaccardindex meanintersectionoverunion",
    "precision": "precisionscore ppv",
    "recall": "recallscore sensitivity tpr truepositiverate",
    "f1": "f1score fscore fmeasure",
    "cohen_kappa": "kappa cohenskappa cohenkappascore",
    "matthews": "mcc matthewscorrcoef matthewscorrelationcoefficient",
    "auc": "rocauc aucroc auroc rocaucscore binaryauroc multiclassauroc",
    "average_precision": "ap prauc aucpr auprc averageprecisionscore",
    "log_loss": "logloss neglogloss crossentropy categoricalcrossentropy sparsecategoricalcrossentropy "
    "binarycrossentropy nll",
    "perplexity": "ppl",
    "brier": "brierscore brierscoreloss",
    "calibration_error": "ece expectedcalibrationerror",
    "sequence_accuracy": "exactmatch",
    "edit_distance": "levenshtein levenshteindistance",
    "mse": "meansquarederror meansquare",
    "rmse": "rootmeansquarederror rootmeansquare",
    "mae": "meanabsoluteerror meandeviation",
    "median_absolute_error": "medianabsoluteerror medae",
    "max_error": "maximumerror",
    "r2": "r2score rsquared",
    "explained_variance": "explainedvariancescore",
    "mean_average_precision": "map meanaverageprecisionscore cocomap map5095 map595",
    "map_50": "map05 map050 map50 ap50 vocmap",
    "map_75": "map075 map75 ap75",
}

_SPELLINGS = {name.replace("_", ""): name for name in FIGURES} | {
    alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()
}
_TOP = re.compile(r"(?:sparse)?top(\d+|k)(?:categorical)?(?:accuracy)?")
_AVERAGED = re.compile(
    rf"(precision|recall|f1)({'|'.join(AVERAGES)})|({'|'.join(AVERAGES)})(precision|recall|f1)"
)


def find_figure(name: str) -> Figure:
    """A figure by its name, also in the spelling of Keras, PyTorch or scikit-learn.

    ``"top_5"`` is the share whose right class is among the 5 best; ``"f1_macro"`` an average over classes.

    Raises:
        ArgumentError: no figure is called so.
    Example:
        >>> find_figure("acc").name, find_figure("SparseTopKCategoricalAccuracy").name
        ('accuracy', 'top_5')
    """
    plain = "".join(c for c in name.lower() if c.isalnum())
    if plain in _SPELLINGS:
        return FIGURES[_SPELLINGS[plain]]
    top = _TOP.fullmatch(plain)
    if top and top[1] != "0":
        return Figure(f"top_{5 if top[1] == 'k' else int(top[1])}", (CLASSES, ORDERED))
    averaged = _AVERAGED.fullmatch(plain)
    if averaged:
        rate, how = averaged[1] or averaged[4], averaged[2] or averaged[3]
        return Figure(f"{rate}_{how}", DECIDED)
    known = [*FIGURES, "top_5", "f1_macro", "loss"]
    raise ArgumentError(
        f"metrics: there is none called {name!r}.{did_you_mean(name, known)}",
        fix=f"one of {', '.join(FIGURES)}, top_5, f1_macro; or a function of outputs and targets",
        expected=known,
        got=name,
    )


def top_of(name: str) -> int | None:
    """The k of ``"top_5"``; None for another name."""
    return int(name.removeprefix("top_")) if name.startswith("top_") else None


def average_of(name: str) -> tuple[str, str] | None:
    """Rate and average of ``"f1_macro"``; None for another name."""
    rate, _, how = name.partition("_")
    return (rate, how) if how in AVERAGES else None
