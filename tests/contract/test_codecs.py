"""What every codec promises, checked for each one that is registered."""

import dataclasses
import doctest
import inspect
import json

import pytest
import torch

import retia as rt
from retia.nets import Reading, expression, registry
from retia.nets.codec import Codec
from retia.shapes import Shape

CODECS = {
    name: cls for name, cls in registry.registered(Codec).items() if cls.__module__.startswith("retia.")
}

TOKENIZER = """{"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
"max_input_chars_per_word": 9, "vocab": {"[PAD]": 0, "[UNK]": 1, "a": 2, "##b": 3}}}"""

SAMPLES = {
    "Audio": [
        rt.Audio(),
        rt.Audio(samples=900, rate=8000, normalize=(0.0, 0.5)),
        rt.Audio(seconds=0.5, form="spectrogram", log=False),
        rt.Audio(samples="time", rate=8000, form="mel", bands=20, normalize="data"),
        rt.Audio(samples=700, form="mfcc", bands=9, coefficients=4, window=300, step=99),
    ],
    "Boolean": [rt.Boolean(), rt.Boolean(0.25)],
    "Bytes": [rt.Bytes(), rt.Bytes(length=9, begin=True, end=True), rt.Bytes(length=3, normalize="NFC")],
    "Characters": [
        rt.Characters(),
        rt.Characters("ab \0é"),
        rt.Characters("ab", length=5, unknown="token", lower=True),
        rt.Characters("ab", length="time", blank=True),
        rt.Characters(length=8, truncate="start", padding=False, begin=True, end=True),
    ],
    "Boxes": [
        rt.Boxes(["cat", "dog"]),
        rt.Boxes(["cat", "dog"], grid=(3, 4), score=0.5, overlap=0.25),
        rt.Boxes(range(3), form="list", most=5, corners="center"),
        rt.Boxes(["a"], grid=(2, 2), units="pixels", size=(64, 48), corners="corner", fit="pad"),
    ],
    "Classes": [
        rt.Classes(),
        rt.Classes(range(10)),
        rt.Classes(["cat", "dog"]),
        rt.Classes([7, "7", True]),
        rt.Classes(["a", "b", "c"], form="one-hot"),
        rt.Classes(["a", "b"], threshold=0.75, uncertain=0),
    ],
    "Image": [
        rt.Image(),
        rt.Image(64),
        rt.Image(28, 28, color="gray"),
        rt.Image(4, 6, color="rgba", fit="crop", resample="lanczos", layout="chw"),
        rt.Image(8, 8, normalize="imagenet"),
        rt.Image(8, 8, normalize=(0.5, (0.1, 0.2, 0.3))),
        rt.Image(8, resize=9, crop="center", background="#ff8000"),
        rt.Image(8, fit="pad", normalize="data"),
    ],
    "Mask": [
        rt.Mask(["ground", "person"]),
        rt.Mask(range(21), 6, 4, other=0, fit="pad"),
        rt.Mask(["a", "b"], 4, levels=[0, range(1, 256)], resize=5, crop="center"),
        rt.Mask(["a", "b", 3], 2, colors={"a": "black", "b": (9, 9, 9), 3: "#ff8000"}),
    ],
    "Ordinal": [rt.Ordinal(), rt.Ordinal(["low", "high"]), rt.Ordinal([1, 2, 5, "more"])],
    "Subwords": [
        rt.Subwords(),
        rt.Subwords("unigram", size=90, length=6, unknown="error"),
        rt.Subwords(tokenizer=TOKENIZER, length=4, lower=True),
    ],
    "Scalar": [
        rt.Scalar(),
        rt.Scalar(normalize="data", unit="kg"),
        rt.Scalar(normalize="robust"),
        rt.Scalar(normalize=(170.5, 10), unit="cm"),
    ],
    "Table": [
        rt.Table(),
        rt.Table(["age", "sex"], form="index", surplus="ignore"),
        rt.Table({"age": "number", "when": rt.DateColumn(["year", "hour"]), "sex": None}, blanks="NA"),
        rt.Table({"sex": rt.CategoryColumn([1, "x"], missing=True, other=False)}, form="index"),
        rt.Table(
            {
                "age": rt.NumberColumn(30.5, 2, missing=True),
                "alone": rt.BooleanColumn(missing=False),
                "log": rt.NumberColumn(0, 1, missing=False),
            },
            derived={"log": ("log", "age")},
            unknown="other",
        ),
    ],
    "Tags": [rt.Tags(), rt.Tags(["a", "b", 3]), rt.Tags(["a"], threshold=0.25)],
    "Tensor": [rt.Tensor((3, 4)), rt.Tensor((3, None)), rt.Tensor(())],
    "Words": [
        rt.Words(),
        rt.Words(["to", "be"], length=3, end=True),
        rt.Words(size=9, least=2, split="spaces"),
    ],
    "Vector": [
        rt.Vector(),
        rt.Vector(3),
        rt.Vector(3, normalize="data"),
        rt.Vector(2, normalize=((0.5, 1.5), 2.0), unit="m"),
    ],
}

FITTED = [
    codec
    for samples in SAMPLES.values()
    for codec in samples
    # Texts of varying length are decoded to whatever length the net makes them.
    if codec.is_fitted() and None not in codec.output_shape
]
EVERY = [codec for samples in SAMPLES.values() for codec in samples]


def test_every_registered_codec_has_samples_here():
    assert set(SAMPLES) == set(CODECS)
    assert all(type(codec).__name__ == name for name, samples in SAMPLES.items() for codec in samples)


@pytest.mark.parametrize("codec", EVERY)
def test_the_repr_pastes_back(codec):
    again = eval(repr(codec), vars(rt))
    assert again == codec
    assert repr(again) == repr(codec)


@pytest.mark.parametrize("codec", EVERY)
def test_json_rebuilds_it_with_the_types_of_its_settings(codec):
    again = expression.from_json(json.loads(json.dumps(expression.to_json(codec))))
    assert again == codec
    assert hash(again) == hash(codec)
    for name, value in codec.settings().items():
        assert type(again.settings()[name]) is type(value)


@pytest.mark.parametrize("codec", EVERY)
def test_it_is_frozen_and_true(codec):
    name = next((f.name for f in dataclasses.fields(codec)), "anything")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(codec, name, None)
    assert bool(codec) is True


def test_codecs_are_equal_only_to_themselves():
    for i, left in enumerate(EVERY):
        for j, right in enumerate(EVERY):
            assert (left == right) is (i == j)
    assert len(set(EVERY)) == len(EVERY)
    assert rt.Scalar() != "Scalar()"


@pytest.mark.parametrize("codec", EVERY)
def test_it_says_what_it_is(codec):
    assert codec.kind in ("float", "int")
    assert codec.output_kind in ("float", "int")
    assert codec.shape is None or isinstance(codec.shape, tuple)
    assert codec.output_shape is None or isinstance(codec.output_shape, tuple)
    assert codec.properties[0] == "decision"
    assert isinstance(codec.loss(), str)
    assert codec.ending in (None, "softmax", "sigmoid", "log_softmax")


@pytest.mark.parametrize("codec", FITTED)
def test_a_fitted_codec_has_whole_sizes_and_stays_as_it_is(codec):
    known: Shape = codec.output_shape
    assert None not in known
    assert codec.with_shape(known) == codec
    assert codec.fit([]) == codec


@pytest.mark.parametrize("codec", FITTED)
def test_an_empty_list_is_an_empty_batch(codec):
    assert codec.is_one([]) is False
    assert codec.encode([]).shape == (0, *codec.shape)
    assert codec.pack_target([], codec.loss()).shape[0] == 0
    assert codec.unpack(torch.zeros((0, *codec.output_shape)), Reading()) == []


@pytest.mark.parametrize("codec", FITTED)
def test_unknown_words_are_answered_with_the_known_ones(codec):
    batch = torch.zeros((1, *codec.output_shape))
    with pytest.raises(rt.CodecError, match="does not answer 'decisoin'. Did you mean 'decision'?"):
        codec.unpack(batch, Reading(property="decisoin"))
    with pytest.raises(rt.CodecError, match="temperature belongs to a random draw"):
        codec.unpack(batch, Reading(temperature=2.0))


@pytest.mark.parametrize("codec", FITTED)
def test_arrays_of_another_shape_are_not_decoded(codec):
    with pytest.raises(rt.CodecError, match="decodes arrays"):
        codec.unpack(torch.zeros((1, *codec.output_shape, 2)), Reading())


@pytest.mark.parametrize("name", CODECS)
def test_unknown_and_surplus_arguments_are_refused(name):
    with pytest.raises(rt.ArgumentError, match="has no argument 'colour_of_the_sky'"):
        CODECS[name](colour_of_the_sky=1)
    with pytest.raises(rt.ArgumentError, match="were given by position"):
        CODECS[name](1, 2, 3, 4)


@pytest.mark.parametrize("name", CODECS)
def test_the_docstring_has_a_shape_and_an_example_that_runs(name):
    text = inspect.getdoc(CODECS[name])
    assert "Shape:" in text
    assert len(text.splitlines()[0]) <= 110
    finder = doctest.DocTestFinder(recurse=False)
    (found,) = finder.find(CODECS[name], name, globs={})
    assert found.examples
    assert doctest.DocTestRunner(verbose=False).run(found).failed == 0


@pytest.mark.parametrize("name", CODECS)
def test_a_file_of_a_newer_version_is_refused(name):
    data = expression.to_json(SAMPLES[name][0])
    with pytest.raises(rt.FormatError, match="version"):
        expression.from_json({**data, "version": CODECS[name].version + 1})
    with pytest.raises(rt.ArgumentError, match="has no argument"):
        expression.from_json({**data, "evil": 1})


def test_a_codec_of_ones_own_is_a_value_under_its_name():
    @rt.codec
    class Doubled(Codec):
        times: int = 2

        @property
        def shape(self):
            return ()

        def is_one(self, thing):
            return not isinstance(thing, list)

        def pack(self, things):
            return torch.tensor([float(self.times * thing) for thing in things])

        def unpack(self, batch, reading):
            return [value / self.times for value in batch.tolist()]

    try:
        made = expression.from_json(expression.to_json(Doubled(times=3)))
        assert made == Doubled(3)
        assert repr(made) == "Doubled(3)"
        assert made.encode([1, 2]).tolist() == [3.0, 6.0]
        assert made.decode(6.0) == 2.0
    finally:
        registry._KINDS.pop("Doubled")
