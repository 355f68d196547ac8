"""Real architectures in pure PyTorch, small and with random weights: what ``rt.from_torch`` is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as tf
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

import retia as rt


@dataclass(frozen=True)
class Architecture:
    """A module, what it is called with, and how its head comes off.

    Attributes:
        make: the module.
        example: tensors by name, or one.
        trunk: the net without its head.
        axis: of the batch.
        unseen: parameters that its call leaves out.
    """

    make: Callable[[], nn.Module]
    example: Callable[[], Any]
    trunk: Callable[[rt.Net], rt.Net] = lambda net: net[:"classifier"]
    axis: int = 0
    unseen: frozenset[str] = frozenset()


def picture(size: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, size, size)


def words(length: int = 9, masked: bool = False) -> dict[str, torch.Tensor]:
    ids = {"input_ids": torch.randint(1, 50, (2, length))}
    if masked:
        ids["attention_mask"] = (torch.arange(length) < torch.tensor([[length], [length // 2]])).long()
    return ids


def settled(module: nn.Module, example: Any) -> nn.Module:
    """The module with the statistics of what it sees, so that nothing vanishes on the way."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    usual = [part.momentum for part in norms]
    for part in norms:
        part.momentum = 1.0
    with torch.no_grad():
        _ = norms and (module.train()(**example) if isinstance(example, dict) else module.train()(example))
    for part, momentum in zip(norms, usual, strict=True):
        part.momentum = momentum
    return module.eval()


TEXT = {"vocab_size": 50, "max_position_embeddings": 16}
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
PATCHES = {**SMALL, "image_size": 32, "patch_size": 8, "num_labels": 5}


class Words(nn.Module):
    """A classifier of texts by a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 4)
        self.lstm = nn.LSTM(4, 6, 2, bidirectional=True, batch_first=True, dropout=0.1)
        self.classifier = nn.Linear(12, 3)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.lstm(self.embed(input_ids))[0][:, -1])


class Sequence(nn.Module):
    """A recurrent layer that has the sequence first, and of which the last state is used."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(4, 6)
        self.classifier = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.gru(x)[1][-1])


class Twins(nn.Module):
    """One trunk for two pictures, and several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten())
        self.classifier = nn.Linear(2 * 4 * 30 * 30, 2)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[str, torch.Tensor]:
        a, b = self.trunk(left), self.trunk(right)
        return {"logits": self.classifier(torch.cat([a, b], 1)), "distance": (a - b).pow(2).sum(1)}


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Dropout(), nn.Linear(120, 10),
    )  # fmt: skip


def resnet() -> nn.Module:
    how = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "num_labels": 5}
    return tf.ResNetForImageClassification(tf.ResNetConfig(layer_type="basic", **how))


def convnext() -> nn.Module:
    config = tf.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 2], num_stages=2, num_labels=5)
    return tf.ConvNextForImageClassification(config)


def mobilenet() -> nn.Module:
    config = tf.MobileNetV2Config(depth_multiplier=0.1, min_depth=4, num_labels=5, image_size=32)
    return tf.MobileNetV2ForImageClassification(config)


def regnet() -> nn.Module:
    how = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 5}
    return tf.RegNetForImageClassification(tf.RegNetConfig(groups_width=4, **how))


def swin() -> nn.Module:
    how = {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4]}
    return tf.SwinForImageClassification(tf.SwinConfig(window_size=4, num_labels=5, **how))


def segformer() -> nn.Module:
    config = tf.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 2], hidden_sizes=[8, 16], patch_sizes=[7, 3],
        strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=5,
    )  # fmt: skip
    return tf.SegformerForSemanticSegmentation(config)


def gpt2() -> nn.Module:
    how = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16, "use_cache": False}
    return tf.GPT2LMHeadModel(tf.GPT2Config(bos_token_id=0, eos_token_id=0, **how))


def distilbert() -> nn.Module:
    how = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "num_labels": 3}
    return tf.DistilBertForSequenceClassification(tf.DistilBertConfig(**how, **TEXT))


def t5() -> nn.Module:
    how = {"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    return tf.T5EncoderModel(tf.T5Config(**how))


def electra() -> nn.Module:
    return tf.ElectraForSequenceClassification(tf.ElectraConfig(embedding_size=8, **SMALL, **TEXT))


def whole(net: rt.Net) -> rt.Net:
    return net


ARCHITECTURES = {
    "lenet": Architecture(lenet, lambda: torch.rand(2, 1, 28, 28), lambda net: net[:-1]),
    "resnet": Architecture(resnet, picture),
    "convnext": Architecture(convnext, picture),
    "mobilenet_v2": Architecture(mobilenet, picture),
    "regnet": Architecture(regnet, picture),
    "efficientnet_lite": Architecture(
        lambda: EfficientNet.from_name("efficientnet-lite0"), lambda: picture(64), lambda net: net[:"_fc"]
    ),
    "vit": Architecture(lambda: tf.ViTForImageClassification(tf.ViTConfig(**PATCHES)), picture),
    "deit": Architecture(lambda: tf.DeiTForImageClassification(tf.DeiTConfig(**PATCHES)), picture),
    "swin": Architecture(swin, picture),
    "segformer": Architecture(segformer, picture, lambda net: net.delete("decode_head.classifier")),
    "bert": Architecture(
        lambda: tf.BertForSequenceClassification(tf.BertConfig(num_labels=3, **SMALL, **TEXT)), words
    ),
    "bert_masked": Architecture(
        lambda: tf.BertModel(tf.BertConfig(**SMALL, **TEXT)),
        lambda: words(masked=True),
        lambda net: net.at("pooler"),
    ),
    "electra": Architecture(electra, words),
    "distilbert": Architecture(distilbert, words),
    "albert": Architecture(
        lambda: tf.AlbertModel(tf.AlbertConfig(embedding_size=8, **SMALL, **TEXT)),
        words,
        lambda net: net.at("pooler"),
    ),
    "gpt2": Architecture(gpt2, words, lambda net: net[:"lm_head"], unseen=frozenset({"lm_head.weight"})),
    "t5_encoder": Architecture(t5, words, whole, unseen=frozenset({"encoder.embed_tokens.weight"})),
    "transformer": Architecture(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2),
        lambda: torch.randn(2, 5, 8),
        whole,
    ),
    "transformer_second": Architecture(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False),
        lambda: torch.randn(5, 2, 8),
        whole,
        axis=1,
    ),
    "lstm": Architecture(Words, words),
    "gru": Architecture(Sequence, lambda: torch.randn(7, 2, 4), axis=1),
    "twins": Architecture(
        Twins,
        lambda: {"left": picture(), "right": picture()},
        lambda net: net.at("trunk"),
    ),
}
