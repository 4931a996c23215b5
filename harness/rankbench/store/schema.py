"""The schema of the results: every column of every table with its type, unit and meaning.

Files of every released version must stay readable, so columns are never removed, and a renamed
column is listed in `RENAMED`. Add a new column to its table; it is null in older files.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 1

# A run whose status is in FINISHED is not measured again; one with any other status is.
PRUNED = "pruned"
FINISHED = ("done", "diverged", PRUNED)
RETRIED = ("error", "timeout", "out_of_memory", "killed")
FAILED = (*RETRIED, "interrupted")
STATUSES = FINISHED + FAILED


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """Its name, which ends in the unit if it has one of time or memory."""
    type: pa.DataType
    """Its Arrow type."""
    unit: str
    """Its unit; empty for text, truth values and plain numbers."""
    meaning: str
    """What it holds, in one phrase; the report shows it."""


_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_INTS, _FLOATS = pa.list_(pa.int64()), pa.list_(pa.float64())

RUNS = (
    Column("study", _TEXT, "", "study the run was first measured for"),
    Column("run_id", _TEXT, "", "content hash of point and seed"),
    Column("point_id", _TEXT, "", "content hash of the point, everything but the seed"),
    Column("seed", _INT, "", "seed of initialisation, sampling and order of the data"),
    Column("status", _TEXT, "", "one of: " + ", ".join(STATUSES)),
    Column("error", _TEXT, "", "one line: what went wrong, or why it was pruned; null when done"),
    Column("traceback", _TEXT, "", "Python traceback of an error; null otherwise"),
    # What was measured: the point.
    Column("task", _TEXT, "", "name in TASKS, or bench"),
    Column("target", _TEXT, "", "recovery: the kind of W that is learned"),
    Column("noise", _FLOAT, "variance", "recovery: variance of the noise added to y"),
    Column("samples", _INT, "samples", "recovery: number of (x, y) pairs"),
    Column(
        "permute", _TEXT, "", "recovery, motion: what is permuted: pixels, modes; null for nothing"
    ),
    Column("split", _TEXT, "", "action: the unit that is never divided between training and test"),
    Column("dataset", _TEXT, "", "action, features, draw: name of the data; null otherwise"),
    Column("time_steps", _INT, "frames", "action, features: frames used of each clip"),
    Column("sampling", _TEXT, "", "action, features: how frames are chosen: even, random"),
    Column("ordered", _BOOL, "", "action, features: whether frames are in temporal order"),
    Column("folds", _INT, "folds", "action, features: folds of the split; null if it has none"),
    Column("fold", _INT, "", "action, features: the fold held out, 0 for the first"),
    Column("glimpses", _INT, "glimpses", "draw: number of drawing steps T"),
    Column("attention", _BOOL, "", "draw: whether reading and writing use attention"),
    Column("binarise", _TEXT, "", "draw: how pixels become black or white: sample, threshold"),
    Column("learner", _TEXT, "", "how weights are learned: adam, least_squares; null if not"),
    Column("input_map", _TEXT, "", "bench: name in MAPS; null otherwise"),
    Column("contender", _TEXT, "", "bench: name in CONTENDERS, rankbench or a peer"),
    Column("contender_version", _TEXT, "", "bench: version of the contender"),
    Column("computes", _TEXT, "", "bench: 'the same map', or how the contender's map differs"),
    Column("decomposition", _TEXT, "", "name in LAYERS"),
    Column("cell", _TEXT, "", "name in CELLS; null for a bare map"),
    Column("hidden_size", _INT, "features", "size of the hidden state; null for a bare map"),
    Column("core_order", _INT, "modes", "number of input modes, d (n for a tensor ring)"),
    Column("in_modes", _INTS, "features", "modes of the input"),
    Column("out_modes", _INTS, "features", "modes of the output, gates fused into the first"),
    Column("in_features", _INT, "features", "product of in_modes"),
    Column("out_features", _INT, "features", "product of out_modes"),
    Column("rank", _INT, "", "low_rank: rank of the factorisation; null otherwise"),
    Column("cp_rank", _INT, "", "cp, block_term: N, the number of terms; null otherwise"),
    Column("tucker_rank", _INT, "", "tucker, block_term: largest R over the modes; null otherwise"),
    Column("tt_rank", _INT, "", "tensor_train: largest rank; null otherwise"),
    Column("tr_rank", _INT, "", "tensor_ring: largest rank; null otherwise"),
    Column("ranks", _INTS, "", "all ranks, in the order of the decomposition"),
    Column("plan", _TEXT, "", "the layer's contraction plan: a name in PLANS"),
    Column("kernel", _TEXT, "", "kernel that ran: torch, native; null if nothing ran"),
    Column("contraction", _TEXT, "", "groups of merged cores, in the order of contraction"),
    Column("config", _TEXT, "JSON", "the whole point: task, layer, cell, training, compute"),
    Column("params", _TEXT, "JSON", "values of the study's search space at this point"),
    Column("search", _TEXT, "JSON", "objectives and constraints of the study when measured"),
    # Counts.
    Column("num_params", _INT, "parameters", "parameters of the input map, biases excluded"),
    Column("dense_params", _INT, "parameters", "in_features * out_features"),
    Column("compression_ratio", _FLOAT, "", "dense_params / num_params"),
    Column("model_params", _INT, "parameters", "parameters of the whole trained model"),
    Column("rows", _INT, "rows", "rows (batch * time) for which cost and times are given"),
    Column(
        "forward_flops",
        _INT,
        "FLOPs",
        "input map's forward pass on `rows` rows, 2 per multiply-add",
    ),
    Column(
        "largest_intermediate", _INT, "elements", "largest tensor of the input map's forward pass"
    ),
    Column("sweep", _TEXT, "", "validate: the variable that is varied: I, J, R, N, d, batch"),
    Column("swept", _INT, "", "validate: value of that variable"),
    Column("backward_flops", _INT, "FLOPs", "validate: gradients of all cores, as planned"),
    Column(
        "counted_forward_flops", _INT, "FLOPs", "validate: forward pass, by torch's FLOP counter"
    ),
    Column(
        "counted_backward_flops", _INT, "FLOPs", "validate: backward pass, by torch's FLOP counter"
    ),
    Column("largest_gradient", _INT, "elements", "validate: largest gradient of the input map"),
    Column("predicted_forward_ms", _FLOAT, "ms", "input map's forward pass, by the cost model"),
    Column("predicted_backward_ms", _FLOAT, "ms", "input map's backward pass, by the cost model"),
    # Accuracy.
    Column("epochs", _INT, "epochs", "epochs completed"),
    Column("resumed_epoch", _INT, "epochs", "epochs done when last resumed; null if never"),
    Column("train_loss", _FLOAT, "", "training loss of the last epoch"),
    Column("rmse", _FLOAT, "", "recovery: root mean square error of the recovered W"),
    Column("rmse_prediction", _FLOAT, "", "recovery: RMSE of the prediction of W x on fresh x"),
    Column("accuracy", _FLOAT, "", "accuracy on the test side after the last epoch, 0 to 1"),
    Column("top_accuracy", _FLOAT, "", "highest test accuracy of any epoch, 0 to 1"),
    Column("accuracy_low", _FLOAT, "", "lower end of accuracy's 95% Wilson interval"),
    Column("accuracy_high", _FLOAT, "", "upper end of accuracy's 95% Wilson interval"),
    Column("top_accuracy_low", _FLOAT, "", "lower end of top_accuracy's 95% Wilson interval"),
    Column("top_accuracy_high", _FLOAT, "", "upper end of top_accuracy's 95% Wilson interval"),
    Column("validation_accuracy", _FLOAT, "", "highest validation accuracy of any epoch, 0 to 1"),
    Column(
        "selected_accuracy", _FLOAT, "", "test accuracy at the epoch of validation_accuracy, 0 to 1"
    ),
    Column("nelbo_nats", _FLOAT, "nats", "draw: negative ELBO of a test image, last epoch"),
    Column("nelbo_low_nats", _FLOAT, "nats", "lower end of nelbo_nats's 95% interval over images"),
    Column("nelbo_high_nats", _FLOAT, "nats", "upper end of nelbo_nats's 95% interval over images"),
    Column("reconstruction_nats", _FLOAT, "nats", "draw: part -log p(x | z) of nelbo_nats"),
    Column(
        "kl_nats",
        _FLOAT,
        "nats",
        "draw: part KL(q(z | x) || p(z)) of nelbo_nats, summed over glimpses",
    ),
    Column("validation_nats", _FLOAT, "nats", "draw: lowest validation negative ELBO of an epoch"),
    Column(
        "selected_nats", _FLOAT, "nats", "draw: test negative ELBO at the epoch of validation_nats"
    ),
    Column("perplexity", _FLOAT, "", "caption: exp of the mean -log p of a test word, last epoch"),
    Column(
        "validation_perplexity", _FLOAT, "", "caption: exp of the mean -log p of a validation word"
    ),
    *(
        Column(f"bleu_{n}", _FLOAT, "", f"caption: BLEU-{n} of the test sentences, 0 to 1")
        for n in (1, 2, 3, 4)
    ),
    Column("cider", _FLOAT, "", "caption: CIDEr-D of the test sentences, 0 to 10"),
    Column("beam", _INT, "beams", "caption: width of the beam search for BLEU and CIDEr"),
    Column("vocabulary", _INT, "words", "caption: words of the vocabulary, with four markers"),
    Column("epochs_to_60", _INT, "epochs", "first epoch with a test accuracy of 0.60 or more"),
    Column("epochs_to_70", _INT, "epochs", "first epoch with a test accuracy of 0.70 or more"),
    Column("epochs_to_80", _INT, "epochs", "first epoch with a test accuracy of 0.80 or more"),
    Column("epochs_to_90", _INT, "epochs", "first epoch with a test accuracy of 0.90 or more"),
    Column("train_size", _INT, "clips", "clips, images or captions on the training side"),
    Column(
        "validation_size", _INT, "clips", "clips, images or captions for validation; null for none"
    ),
    Column("test_size", _INT, "clips", "clips, images or captions on the test side"),
    Column("data_hash", _TEXT, "", "SHA-256 of the data file, first 16 hex digits"),
    # Time and memory.
    Column("map_ms", _FLOAT, "ms", "plans: median time of the map's forward and backward pass"),
    Column("plan_ratio", _FLOAT, "", "plans: map_ms of the planner's choice / smallest map_ms"),
    Column("forward_ms", _FLOAT, "ms", "median time of a forward pass"),
    Column("backward_ms", _FLOAT, "ms", "median time of a backward pass"),
    Column("step_ms", _FLOAT, "ms", "median time of a whole training step"),
    Column("forward_floor_ms", _FLOAT, "ms", "bench: lower bound of forward_ms from the rates"),
    Column("step_floor_ms", _FLOAT, "ms", "bench: lower bound of step_ms from the rates"),
    Column("gemm_rate", _FLOAT, "FLOP/s", "bench: rate of a large matrix product in this dtype"),
    Column("memory_rate", _FLOAT, "byte/s", "bench: rate of reading or copying memory"),
    Column("forward_peak_mb", _FLOAT, "MB", "peak of tensor bytes during a forward pass"),
    Column(
        "backward_peak_mb", _FLOAT, "MB", "peak during forward and backward, gradients included"
    ),
    Column("step_peak_mb", _FLOAT, "MB", "peak of tensor bytes during a training step"),
    Column("peak_rss_mb", _FLOAT, "MB", "peak of resident memory of the run's process"),
    Column("started_at", pa.timestamp("us", tz="UTC"), "UTC", "when the run started"),
    Column(
        "replicates",
        _INT,
        "runs",
        "runs trained side by side in this run's process, itself included",
    ),
    Column("duration_s", _FLOAT, "s", "wall time of the run; an equal share for replicates"),
    Column("attempts", _INT, "", "how often the study tried to measure the run; see retries"),
    Column("data_wait_share", _FLOAT, "", "share of training and testing spent waiting for data"),
    # Where it was measured.
    Column("device", _TEXT, "", "cpu or cuda"),
    Column("dtype", _TEXT, "", "type of weights and data"),
    Column("precision", _TEXT, "", "precision of the products W x and U h; null if nothing ran"),
    Column("compiled", _BOOL, "", "whether steps ran compiled; null if none ran"),
    Column(
        "cuda_graph", _BOOL, "", "whether steps were replayed as a CUDA graph; null if none ran"
    ),
    Column("fallback", _TEXT, "", "settings of compute without effect, and why; null for none"),
    Column("threads", _INT, "threads", "threads torch used"),
    Column("host", _TEXT, "", "hash of the machine's name, to distinguish machines"),
    Column("cpu", _TEXT, "", "model of the processor"),
    Column("cpu_cores", _INT, "cores", "cores this process may use"),
    Column("cpu_mhz", _FLOAT, "MHz", "clock at the start of the run, where readable"),
    Column("memory_mb", _INT, "MB", "memory of the machine"),
    Column("gpu", _TEXT, "", "model of the GPU; null on a CPU"),
    Column("gpu_index", _INT, "", "number of the GPU, as torch counts; null on a CPU"),
    Column("gpu_driver", _TEXT, "", "version of the GPU's driver"),
    Column("gpu_mhz", _FLOAT, "MHz", "SM clock at the start of the run, where readable"),
    Column("gpu_memory_mb", _INT, "MB", "memory of the GPU"),
    Column("python_version", _TEXT, "", "version of Python"),
    Column("torch_version", _TEXT, "", "version of torch"),
    Column("rankbench_version", _TEXT, "", "version of Rankbench"),
    Column("git_commit", _TEXT, "", "commit of the code; null outside a checkout"),
    Column("git_dirty", _BOOL, "", "whether the checkout had changes outside results/"),
)

EPOCHS = (
    Column("study", _TEXT, "", "study of the run"),
    Column("run_id", _TEXT, "", "run the curve belongs to"),
    Column("epoch", _INT, "epochs", "1 for the first"),
    Column("train_loss", _FLOAT, "", "mean training loss of the epoch"),
    Column("train_accuracy", _FLOAT, "", "accuracy on the training batches, dropout active"),
    Column("accuracy", _FLOAT, "", "accuracy on the test side, 0 to 1"),
    Column("validation_accuracy", _FLOAT, "", "accuracy on the validation clips, 0 to 1"),
    Column("rmse", _FLOAT, "", "recovery: RMSE of W after the epoch"),
    Column("nelbo_nats", _FLOAT, "nats", "draw: negative ELBO of a test image"),
    Column("reconstruction_nats", _FLOAT, "nats", "draw: part -log p(x | z) of nelbo_nats"),
    Column(
        "kl_nats",
        _FLOAT,
        "nats",
        "draw: part KL(q(z | x) || p(z)) of nelbo_nats, summed over glimpses",
    ),
    Column("validation_nats", _FLOAT, "nats", "draw: negative ELBO of a validation image"),
    Column("perplexity", _FLOAT, "", "caption: exp of the mean -log p of a test word"),
    Column(
        "validation_perplexity", _FLOAT, "", "caption: exp of the mean -log p of a validation word"
    ),
    Column("seconds", _FLOAT, "s", "since training began"),
)

SAMPLES = (
    Column("study", _TEXT, "", "study of the run"),
    Column("run_id", _TEXT, "", "run the sample belongs to"),
    Column("phase", _TEXT, "", "forward, backward or step"),
    Column("sample", _INT, "", "0 for the first after the warm-up"),
    Column("ms", _FLOAT, "ms", "time of this repeat"),
    Column("cpu_ms", _FLOAT, "ms", "bench: processor time of this repeat, all threads"),
)

WEIGHTS = (
    Column("study", _TEXT, "", "study of the run"),
    Column("run_id", _TEXT, "", "run the matrix belongs to"),
    Column("name", _TEXT, "", "target or recovered"),
    Column("shape", _INTS, "", "rows (out_features), columns (in_features)"),
    Column("values", _FLOATS, "", "entries, row after row"),
)

BEAMS = (
    Column("study", _TEXT, "", "study of the run"),
    Column("run_id", _TEXT, "", "run the scores belong to"),
    Column("beam", _INT, "beams", "caption: width of the beam search"),
    *(
        Column(f"bleu_{n}", _FLOAT, "", f"BLEU-{n} of the test sentences, 0 to 1")
        for n in (1, 2, 3, 4)
    ),
    Column("cider", _FLOAT, "", "CIDEr-D of the test sentences, 0 to 10"),
)

SENTENCES = (
    Column("study", _TEXT, "", "study of the run"),
    Column("run_id", _TEXT, "", "run that wrote the sentence"),
    Column("image_id", _TEXT, "", "name of the test image"),
    Column("beam", _INT, "beams", "width of the beam search"),
    Column("sentence", _TEXT, "", "words separated by spaces"),
    Column("score", _FLOAT, "nats", "log p of the sentence, its end marker included"),
)

TABLES = {
    "runs": RUNS,
    "epochs": EPOCHS,
    "samples": SAMPLES,
    "weights": WEIGHTS,
    "beams": BEAMS,
    "sentences": SENTENCES,
}


# Renamed columns: name in old files -> name now.
RENAMED = {"order": "plan"}


@functools.cache
def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table, with units and meanings as field metadata."""
    fields = [
        pa.field(c.name, c.type, metadata={"unit": c.unit, "meaning": c.meaning})
        for c in TABLES[table]
    ]
    return pa.schema(fields, metadata={"table": table, "schema_version": str(SCHEMA_VERSION)})


def narrowed(table: str, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of `table` restricted to `columns` and the run_id."""
    schema = arrow_schema(table)
    names = list(dict.fromkeys([*columns, "run_id"]))
    return pa.schema([schema.field(name) for name in names], metadata=schema.metadata)
