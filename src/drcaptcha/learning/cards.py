"""A network to take along: its ONNX files, and a card that says what it reads, what it says, and where it came from."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from django.db.models.fields.files import FieldFile

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import DataSet, Glyph
from drcaptcha.learning import examples, snapshots
from drcaptcha.learning.models import Evaluation, Network
from handwriting import metrics

PREPROCESSING = (
    "uint8 glyphs (n, 28, 28), bright ink (255) on a dark ground (0). As in EMNIST (Cohen et al. 2017): a scan of "
    "128 by 128 pixels is blurred with a Gaussian of sigma 1 and cropped to the character. That is put into the "
    "middle of a square, with its aspect kept and 2 pixels around it, and scaled to 28 by 28 with a bicubic filter. "
    "The network itself divides by 255."
)
LICENCE = (
    "The network was made from the data sets named here: their terms go with it, and you, who trained it, say on what "
    "terms you pass it on. DrCaptcha itself is under the MIT licence."
)
SNIPPET = """\
import json

import numpy as np
import onnxruntime

with open("card.json", encoding="utf-8") as file:
    card = json.load(file)
session = onnxruntime.InferenceSession(card["serves"], providers=["CPUExecutionProvider"])
glyphs = np.zeros((1, 28, 28), np.uint8)
glyphs[0, 4:24, 13:15] = 255  # A stroke from top to bottom.
probabilities = session.run(["probabilities"], {"glyphs": glyphs})[0]
probabilities = probabilities ** (1 / card["temperature"])  # So that they tell how often it is right.
probabilities /= probabilities.sum(axis=1, keepdims=True)
best = int(probabilities[0].argmax())
print(card["classes"][best], f"{probabilities[0, best]:.1%}")
"""


def export(network: Network, folder: Path) -> list[Path]:
    """Write the files of ``network`` into ``folder``, which is made where it is not there, and return their paths.

    Raises:
        NotPossible: the folder holds something, or a file of the network can't be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotPossible(f"{folder} is there and not an empty folder. Name another, so that nothing is overwritten.")
    content = files(network)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in content]


def archive(network: Network) -> bytes:
    """Return the same files as one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files(network).items():
            file.writestr(f"network-{network.pk}/{name}", data)
    return packed.getvalue()


def files(network: Network) -> dict[str, bytes]:
    """Return the files by name: what serves, the float network where it was kept, README.md and card.json.

    Raises:
        NotPossible: a file of the network can't be read.
    """
    serving = _content(network, network.onnx)
    plain = _content(network, network.float_onnx) if network.float_onnx else None
    if plain is None:
        networks = {"network.onnx": serving}
    elif plain == serving:
        networks = {"float.onnx": plain}
    else:
        networks = {"int8.onnx": serving, "float.onnx": plain}
    card = card_of(network) | {"serves": next(iter(networks)), "files": list(networks)}
    written = json.dumps(card, ensure_ascii=False, indent=2) + "\n"
    return {**networks, "card.json": written.encode(), "README.md": _readme(card).encode()}


def card_of(network: Network) -> dict[str, Any]:
    """Return what the card says, as far as it does not depend on the files."""
    judged = network.evaluations.order_by("-created", "-pk").first()
    return {
        "name": str(network),
        "architecture": network.architecture,
        "parameters": network.parameters,
        "classes": list(network.classes),
        "merged": dict(examples.alphabet_of(network.classes).merged),
        "input": {"name": "glyphs", "type": "uint8", "shape": ["n", 28, 28]},
        "output": {"name": "probabilities", "type": "float32", "shape": ["n", len(network.classes)]},
        "preprocessing": PREPROCESSING,
        "temperature": judged.temperature if judged else 1.0,
        "metrics": _metrics(judged) if judged else {"accuracy": network.accuracy, "test_size": network.test_size},
        "training": {
            "glyphs": network.train_size,
            "labels_given": network.given_labels,
            "labels_voted": network.voted_labels,
            "data_sets": _data_sets(network),
            "snapshot_hash": network.snapshot_hash,
            "created": network.created.isoformat(),
            "seconds": round(network.seconds, 1),
            "epochs": network.epochs,
            "batch_size": network.batch_size,
            "seed": network.seed,
        },
        "licence": LICENCE,
    }


def _metrics(judged: Evaluation) -> dict[str, Any]:
    share, counts = judged.share, np.array(judged.confusion, np.int64)
    return {
        "accuracy": judged.accuracy,
        "interval": [share.low, share.high],
        "macro_f1": judged.macro_f1,
        "top3": judged.top3,
        "look_alikes_folded": judged.folded,
        "log_loss": judged.log_loss,
        "brier": judged.brier,
        "ece": judged.ece,
        "precision": metrics.precision(counts).round(4).tolist(),
        "recall": metrics.recall(counts).round(4).tolist(),
        "test_size": judged.test_size,
        "test_hash": judged.test_hash,
    }


def _data_sets(network: Network) -> dict[str, int]:
    """Count the glyphs of the snapshot by the data set that they came with."""
    snapshot = snapshots.of(network)
    if snapshot is None:
        return {}
    of = dict(Glyph.objects.filter(split="train").values_list("pk", "data_set").iterator())
    counts = Counter(of[key] for key in snapshot.keys.tolist() if key in of)
    return {row.name: counts[row.pk] for row in DataSet.objects.filter(pk__in=counts).order_by("name")}


def _content(network: Network, file: FieldFile) -> bytes:
    try:
        with file.open("rb") as opened:
            return bytes(opened.read())
    except (OSError, ValueError) as fault:
        raise NotPossible(f"The network {network} has lost a file: {fault}. Train it again.") from fault


def _readme(card: dict[str, Any]) -> str:
    figures, training = card["metrics"], card["training"]
    sets = ", ".join(f"{name} ({count:,})" for name, count in training["data_sets"].items()) or "not recorded"
    lines = [
        f"# {card['name']}",
        "",
        f"Names the handwritten character in a 28 by 28 picture. {card['parameters']:,} parameters, "
        f"{len(card['classes'])} classes: `{''.join(card['classes'])}`. Files: {', '.join(card['files'])}; "
        f"`{card['serves']}` is the one that serves.",
        "",
        "```python",
        SNIPPET.rstrip(),
        "```",
        "",
        f"**Input.** {card['preprocessing']}",
        "",
        f"**Output.** Probabilities of the classes, in their order. A temperature of {card['temperature']:.3f} "
        "calibrates them, as above.",
        "",
        f"**Figures**, on {figures['test_size']:,} test glyphs that it never saw: {_figures(figures)}.",
        "",
        f"**Training.** {training['glyphs']:,} glyphs; {training['labels_given']:,} labels were given and "
        f"{training['labels_voted']:,} came from votes, validation included. Data sets: {sets}. Label snapshot: "
        f"`{training['snapshot_hash'] or 'not recorded'}`.",
        "",
        f"**Licence.** {card['licence']}",
    ]
    return "\n".join(lines) + "\n"


def _figures(figures: dict[str, Any]) -> str:
    if "interval" not in figures:
        return f"accuracy {figures['accuracy']:.2%}"
    low, high = figures["interval"]
    return (
        f"accuracy {figures['accuracy']:.2%} (95 % interval {low:.2%} to {high:.2%}), look-alikes folded "
        f"{figures['look_alikes_folded']:.2%}, top 3 {figures['top3']:.2%}, macro-F1 {figures['macro_f1']:.2%}, "
        f"log-loss {figures['log_loss']:.4f}, Brier {figures['brier']:.4f}, ECE {figures['ece']:.2%}. Test set: "
        f"`{figures['test_hash']}`"
    )
