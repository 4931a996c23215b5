"""The captioning task: its loss, its search, its scores, and a run from data to sentences."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from rankbench.cells.settings import CELLS, Cell
from rankbench.data.images.caption_sets import CaptionSet
from rankbench.layers import LAYERS
from rankbench.layers.settings import LayerSettings
from rankbench.tasks import TASKS, Context
from rankbench.tasks.base import Point
from rankbench.tasks.caption.beam_search import beam_search
from rankbench.tasks.caption.model import Captioner
from rankbench.tasks.caption.scores import score
from rankbench.tasks.caption.task import Caption
from rankbench.tasks.caption.training import CaptionTrainer, Side, padded
from rankbench.tasks.caption.vocabulary import END, PAD, START, UNKNOWN, Vocabulary, words
from rankbench.training.checkpoint import Checkpoint
from rankbench.training.settings import Training
from tests.helpers.captions import THINGS, write_captions
from tests.helpers.layer_examples import RANKS

WORDS, IMAGES, SIZE, HIDDEN = 9, 5, 8, 6


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKBENCH_CACHE", str(tmp_path / "cache"))


def caption(**given: Any) -> Caption:
    return Caption(**{"data": "tiny", "embedding": SIZE, "min_count": 1, "max_length": 7, **given})


def point(
    task: Caption | None = None,
    *,
    layer: str = "dense",
    cell: str = "lstm",
    hidden: int = HIDDEN,
    dtype: str = "float32",
    **training: Any,
) -> Point:
    chosen = Cell(name=cell, hidden_size=hidden)
    task = task or caption()
    made = LayerSettings(decomposition=layer, **RANKS[layer]).resolve(
        task.embedding, hidden, gates=chosen.gates
    )
    return Point(
        task=task,
        layer=made,
        cell=chosen,
        training=Training(**{"epochs": 1, **training}),
        dtype=dtype,
    )


def model(**given: Any) -> Captioner:
    """A model whose images are scaled by hand."""
    scaling = (torch.arange(IMAGES) / 4, torch.arange(IMAGES) / 2 + 0.5)
    return Captioner(point(dtype="float64", **given), Context(seed=3), scaling, WORDS).eval()


def plain(ours: Captioner, image: Tensor, caption: list[int]) -> Tensor:
    """-log p of each word of one caption by torch.nn.LSTM, one step after the other."""
    lstm = nn.LSTM(SIZE, HIDDEN, batch_first=True, dtype=torch.float64)
    weights = {
        "weight_ih_l0": ours.cell.input_map.to_dense(),
        "weight_hh_l0": ours.cell.weight_hh,
        "bias_ih_l0": ours.cell.bias_ih,
        "bias_hh_l0": ours.cell.bias_hh,
    }
    image = (image - torch.arange(IMAGES) / 4) / (torch.arange(IMAGES) / 2 + 0.5)
    inputs = [image @ ours.project.weight.T + ours.project.bias]
    inputs += [ours.embed.weight[word] for word in [START, *caption[:-1]]]
    outputs, _ = torch.func.functional_call(lstm, weights, (torch.stack(inputs)[None],))
    logits = outputs[0, 1:] @ ours.head.weight.T + ours.head.bias
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    return -log_p[torch.arange(len(caption)), torch.tensor(caption)]


CAPTIONS = [[4, 5, END], [6, END], [7, 8, UNKNOWN, 4, END]]


def test_the_loss_is_that_of_a_plain_lstm_with_gradients_and_padding_left_out() -> None:
    ours = model()
    images = torch.randn(3, IMAGES, dtype=torch.float64)
    nats = ours.nats(images, padded(CAPTIONS))
    wanted = torch.cat([plain(ours, one, told) for one, told in zip(images, CAPTIONS, strict=True)])
    assert len(nats) == sum(map(len, CAPTIONS))
    torch.testing.assert_close(nats, wanted, rtol=1e-10, atol=1e-12)
    parameters = dict(ours.named_parameters())
    found = torch.autograd.grad(nats.mean(), list(parameters.values()))
    expected = torch.autograd.grad(wanted.mean(), list(parameters.values()))
    for name, one, other in zip(parameters, found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12, msg=name)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_is_the_lstm_of_its_dense_weight(layer: str) -> None:
    ours = model(layer=layer)
    image = torch.randn(1, IMAGES, dtype=torch.float64)
    nats = ours.nats(image, padded([CAPTIONS[2]]))
    torch.testing.assert_close(nats, plain(ours, image[0], CAPTIONS[2]), rtol=1e-9, atol=1e-11)


def test_more_padding_changes_nothing() -> None:
    ours, images = model(), torch.randn(3, IMAGES, dtype=torch.float64)
    wider = F.pad(padded(CAPTIONS), (0, 4), value=PAD)
    assert torch.equal(ours.nats(images, wider), ours.nats(images, padded(CAPTIONS)))


@pytest.mark.parametrize("cell", CELLS)
def test_a_word_at_a_time_is_the_whole_caption(cell: str) -> None:
    ours, images = model(cell=cell), torch.randn(2, IMAGES, dtype=torch.float64)
    told = torch.tensor([[4, 5, 6, END], [7, 7, 8, END]])
    before = torch.cat([torch.full((2, 1), START), told[:, :-1]], dim=1)
    state, table, found = ours.begin(images), ours.gates(), []
    for last, word in zip(before.T, told.T, strict=True):
        log_p, state = ours.next(table[last], state)
        found.append(-log_p[torch.arange(2), word])
    wanted = ours.nats(images, told).view(2, 4).T
    torch.testing.assert_close(torch.stack(found), wanted, rtol=1e-10, atol=1e-12)


def exhaustive(ours: Captioner, image: Tensor, length: int) -> tuple[list[int], float]:
    """The likeliest sentence of at most `length` words, of all there are."""
    best: tuple[list[int], float] = ([], -math.inf)
    for count in range(length + 1):
        for said in itertools.product(range(UNKNOWN + 1, WORDS), repeat=count):
            sentence = [*said, END]
            log_p = -float(ours.nats(image[None], torch.tensor([sentence])).sum())
            best = max(best, (sentence, log_p), key=lambda one: one[1])
    return best


def searched(
    ours: Captioner, images: Tensor, width: int, length: int
) -> list[tuple[list[int], float]]:
    table = ours.gates()
    found, scores = beam_search(
        ours.begin(images), lambda last, state: ours.next(table[last], state), width, length
    )
    ends = [one.index(END) for one in found.tolist()]
    cut = [one[: end + 1] for one, end in zip(found.tolist(), ends, strict=True)]
    return list(zip(cut, scores.tolist(), strict=True))


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 1000), cell=st.sampled_from(sorted(CELLS)))
def test_a_wide_beam_search_is_exhaustive(seed: int, cell: str) -> None:
    torch.manual_seed(seed)
    ours, images = model(cell=cell), torch.randn(2, IMAGES, dtype=torch.float64) * 4
    for parameter in ours.parameters():
        parameter.data.normal_()
    with torch.no_grad():
        for image, (said, log_p) in zip(images, searched(ours, images, 200, 3), strict=True):
            wanted, best = exhaustive(ours, image, 3)
            assert said == wanted
            assert log_p == pytest.approx(best, rel=1e-9)


@torch.no_grad()
def test_a_narrow_search_scores_its_sentence_and_a_width_of_1_is_greedy() -> None:
    ours, images = model(), torch.randn(6, IMAGES, dtype=torch.float64) * 4
    for parameter in ours.parameters():
        parameter.data.normal_()
    for width in (1, 3):
        for image, (said, log_p) in zip(images, searched(ours, images, width, 5), strict=True):
            assert log_p == pytest.approx(
                -float(ours.nats(image[None], torch.tensor([said])).sum())
            )
    for image, (said, _) in zip(images, searched(ours, images, 1, 5), strict=True):
        for at in range(len(said) - 1 if len(said) == 6 else len(said)):
            tried = [
                [*said[:at], word] for word in range(WORDS) if word not in (PAD, START, UNKNOWN)
            ]
            losses = [float(ours.nats(image[None], torch.tensor([one]))[-1]) for one in tried]
            assert tried[int(np.argmin(losses))] == said[: at + 1]


def test_perplexity_of_a_model_that_knows_nothing_and_of_one_that_prefers() -> None:
    ours = model()
    data = CaptionSet(
        vectors=np.zeros((1, IMAGES)), images=["a"], sides=["test"], captions=[["x"]], data_hash=""
    )
    side = Side(places=[0, 0, 0], captions=CAPTIONS)
    training = Training(batch_size=2)
    trainer = CaptionTrainer(ours, data, {"test": side}, training, Context(seed=0))
    with torch.no_grad():
        ours.head.weight.zero_()
        ours.head.bias.zero_()
        assert trainer.evaluate() == {"perplexity": pytest.approx(WORDS)}
        # END has half of all probability, each of the 8 others a 16th: 3 ends of 10 words.
        ours.head.bias[END] = math.log(WORDS - 1)
        wanted = math.exp((3 * math.log(2) + 7 * math.log(16)) / 10)
        assert trainer.perplexity(side) == pytest.approx(wanted)


def test_features_are_standardised_by_the_training_side() -> None:
    vectors = np.array([[1.0, 5, 0], [3.0, 5, 0], [9.0, 0, 9]], np.float32)
    data = CaptionSet(
        vectors=vectors, images=["a", "b", "c"], sides=["train", "train", "test"], captions=[],
        data_hash="",
    )  # fmt: skip
    shift, scale = caption().scaling(data)
    assert (shift.tolist(), scale.tolist()) == ([2, 5, 0], [1, 1, 1])
    shift, scale = caption(standardise=False).scaling(data)
    assert (shift.tolist(), scale.tolist()) == ([0, 0, 0], [1, 1, 1])


def test_batches_are_the_captions_once_those_of_near_length_together() -> None:
    captions = [[4] * (1 + number % 5) + [END] for number in range(23)]
    side = Side(places=list(range(23)), captions=captions)
    data = CaptionSet(
        vectors=np.arange(23.0)[:, None].repeat(IMAGES, 1),
        images=[], sides=[], captions=[], data_hash="",
    )  # fmt: skip
    trainer = CaptionTrainer(
        model(), data, {"train": side}, Training(batch_size=4), Context(seed=1)
    )
    epochs = [list(trainer.batches()) for _ in range(2)]
    for epoch in epochs:
        seen = [int(image[0]) for images, _ in epoch for image in images]
        assert sorted(seen) == list(range(23))
        for images, told in epoch:
            for image, row in zip(images, told.tolist(), strict=True):
                assert [word for word in row if word != PAD] == captions[int(image[0])]
            assert (told == PAD).sum() <= 4
    assert (
        len({tuple(int(one[0]) for images, _ in epoch for one in images) for epoch in epochs}) == 2
    )
    assert trainer.step_ms is not None
    assert trainer.step_ms > 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A man's dog , well-fed , runs !", ["a", "man", "'s", "dog", "well-fed", "runs"]),
        ("Two girls don't  see 3 (birds).", ["two", "girls", "don", "'t", "see", "3", "birds"]),
        ("...", []),
    ],
)
def test_words(text: str, wanted: list[str]) -> None:
    assert words(text) == wanted


def test_a_vocabulary_has_what_occurs_often_enough() -> None:
    told = [words("the dog the cat"), words("the dog a"), words("a bird")]
    vocabulary = Vocabulary(told, 2)
    assert vocabulary.words == ("<pad>", "<start>", "<end>", "<unk>", "the", "a", "dog")
    assert vocabulary.encode(words("the bird a")) == [4, UNKNOWN, 5, END]
    assert vocabulary.decode([4, 6, END, 5]) == "the dog"
    assert Vocabulary([["<end>", "pad"]], 1).encode(["<end>"]) == [UNKNOWN, END]


def test_bleu_of_its_authors_example() -> None:
    pytest.importorskip("sacrebleu")
    # Papineni et al. 2002, Sec. 2.1, candidate 1: 17 of 18 words, 10 of 17 pairs; as long as a
    # reference of 18, so without a penalty.
    said = (
        "it is a guide to action which ensures that the military always obeys the commands of the"
        " party"
    )
    told = [
        "it is a guide to action that ensures that the military will forever heed party commands",
        "it is the guiding principle which guarantees the military forces always being under the"
        " command of the party",
        "it is the practical guide for the army always to heed the directions of the party",
    ]
    found = score([said], [told])
    assert found["bleu_1"] == pytest.approx(17 / 18)
    assert found["bleu_2"] == pytest.approx(math.sqrt(17 / 18 * 10 / 17))
    assert found["cider"] == 0.0  # of one image no word is rare


def test_bleu_of_a_short_sentence_is_penalised_and_one_of_no_pair_is_none() -> None:
    found = score(["a dog runs", "cat"], [["a dog runs away"], ["cat", "the cat"]])
    assert found["bleu_1"] == pytest.approx(math.exp(1 - 5 / 4))
    assert found["bleu_4"] == 0.0


def test_cider_by_hand() -> None:
    # Two images, single words alone in their references: idf log 2 each, every cosine of one word
    # 1 and no longer n-grams, so 10 * (1 + 0 + 0 + 0) / 4; a wrong word has none.
    assert score(["dog", "cat"], [["dog"], ["cat"]])["cider"] == pytest.approx(2.5)
    assert score(["dog", "dog"], [["dog"], ["cat"]])["cider"] == pytest.approx(1.25)
    # One pair of words: both kinds of n-gram agree. A word that all images have weighs nothing.
    assert score(["a dog", "a cat"], [["a dog"], ["a cat"]])["cider"] == pytest.approx(5.0)


def rows(chosen: Point, context: Context | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from chosen.task.run(chosen, context or Context(seed=0))


def learning(layer: str = "tensor_train", **given: Any) -> Point:
    task = caption(embedding=16, beams=[3, 1], validation=True, **given)
    return point(task, layer=layer, hidden=16, epochs=24, batch_size=18, learning_rate=0.03)


def test_a_run_learns_to_say_what_is_on_an_image() -> None:
    write_captions()
    told: dict[str, list[dict[str, Any]]] = {}
    facts: dict[str, Any] = {}
    for table, row in rows(learning()):
        told.setdefault(table, []).append(row)
        facts |= row if table == "runs" else {}
    assert (facts["train_size"], facts["validation_size"], facts["test_size"]) == (108, 36, 36)
    assert facts["perplexity"] < 4 < told["epochs"][0]["perplexity"]
    assert facts["bleu_1"] > 0.9
    assert [one["beam"] for one in told["beams"]] == [3, 1]
    assert {key: facts[key] for key in told["beams"][0]} == told["beams"][0]
    said = [one for one in told["sentences"] if one["beam"] == 3]
    assert [one["image_id"] for one in said] == [f"{number:03d}.jpg" for number in range(48, 60)]
    for number, one in enumerate(said):
        assert THINGS[number % 4] in one["sentence"].split()
        assert one["score"] < 0
    assert facts["vocabulary"] == 4 + 13
    assert facts["dataset"] == "tiny"
    assert not any(table == "sentences" for table, _ in rows(point(caption(keep_sentences=False))))


def test_a_stopped_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    write_captions()
    task = caption(embedding=16, validation=True)
    chosen = point(task, layer="cp", hidden=16, epochs=5, batch_size=18, input_dropout=0.2)

    def told(context: Context) -> Iterator[tuple[str, dict[str, Any]]]:
        for table, row in rows(chosen, context):
            left = ("seconds", "step_ms", "resumed_epoch")
            yield table, {key: value for key, value in row.items() if key not in left}

    checkpoint = Checkpoint(folder=str(tmp_path / "kept"), run_id="a" * 16, every_s=0.0)
    context = Context(seed=2, checkpoint=checkpoint)
    whole = list(told(Context(seed=2)))
    list(islice(told(context), 7))
    resumed = list(rows(chosen, context))
    assert any(row.get("resumed_epoch") for table, row in resumed if table == "runs")
    assert list(told(context)) == whole


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": 3}, "task.data must be the name of a set, got 3"),
        ({"min_count": 0}, "task.min_count must be a positive integer, got 0"),
        ({"beams": 3}, "task.beams must be a non-empty list of positive integers, got 3"),
        ({"beams": [3, 0]}, "every entry of task.beams must be a positive integer, got 0"),
        ({"validation": 1.5}, "task.validation must be one of: True, False; got 1.5"),
    ],
)
def test_settings_out_of_range(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Caption(**given)


def test_what_cannot_be_used_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    write_captions()
    assert TASKS["caption"] is Caption
    assert caption().missing() is None
    assert str(caption(data="").missing()).startswith("task.data is not set: store a set with")
    assert str(caption(data="x").missing()).startswith("no set 'x' is cached (cached: tiny);")
    with pytest.raises(ValueError, match=r"^task\.data is not set"):
        list(rows(point(caption(data=""))))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    wanted = "package sacrebleu is not installed; run `pip install 'rankbench[captions]'`"
    assert caption().missing() == wanted


def test_a_layer_must_fit_the_embedding() -> None:
    with pytest.raises(ValueError, match="task caption with this cell needs a layer from 7 to 24 "):
        Point(
            task=caption(embedding=7), layer=point().layer, cell=point().cell, training=Training()
        )
