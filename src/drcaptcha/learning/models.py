"""Networks, the ensembles that weigh them, what they were judged to be worth, and the runs that made them."""

import math
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from drcaptcha.glyphs.models import Glyph
from handwriting import metrics
from handwriting.ensembles import POOLINGS, normalise


def network_folder(network: "Network", filename: str) -> str:
    """Return where a network's file is stored, in a folder of its own."""
    return f"networks/{network.folder}/{Path(filename).name}"


def evaluation_folder(evaluation: "Evaluation", filename: str) -> str:  # noqa: ARG001 - Django calls it so.
    """Return where a picture of an evaluation is stored, under a name that no other ever has."""
    path = Path(filename)
    return f"evaluations/{path.stem}-{secrets.token_hex(8)}{path.suffix}"


class Network(models.Model):
    """A trained neural net, stored as the ONNX file that serves."""

    architecture = models.CharField(max_length=50)
    classes = models.CharField(max_length=200, help_text="The characters it tells apart, in the order of its outputs.")
    folder = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField()
    seconds = models.FloatField(help_text="Time of training, in seconds.")
    epochs = models.PositiveIntegerField()
    batch_size = models.PositiveIntegerField()
    seed = models.PositiveBigIntegerField()
    parameters = models.PositiveBigIntegerField(help_text="Trained weights, counted.")
    train_size = models.PositiveIntegerField()
    test_size = models.PositiveIntegerField()
    accuracy = models.FloatField(help_text="Share of the test glyphs that it names rightly.")
    history = models.JSONField(default=dict, help_text="Loss and accuracy by epoch.")
    onnx = models.FileField(upload_to=network_folder)
    snapshot = models.FileField(
        upload_to=network_folder, blank=True, help_text="The glyphs and labels that it learned and was validated on."
    )
    snapshot_hash = models.CharField(
        max_length=64, blank=True, help_text="SHA-256 of the glyphs and labels in its snapshot."
    )
    given_labels = models.PositiveIntegerField(default=0, help_text="Labels of the snapshot that were given.")
    voted_labels = models.PositiveIntegerField(default=0, help_text="Labels of the snapshot that votes gave.")
    known_labels = models.PositiveIntegerField(
        default=0, help_text="Labelled training glyphs that there were, learned from or not."
    )
    validation = models.FileField(
        upload_to=network_folder, blank=True, help_text="What it says of the validation glyphs, as arrays."
    )
    float_onnx = models.FileField(
        upload_to=network_folder, blank=True, help_text="The network before its numbers were made 8 bits short."
    )
    architecture_picture = models.FileField(upload_to=network_folder)
    loss_picture = models.FileField(upload_to=network_folder)
    accuracy_picture = models.FileField(upload_to=network_folder)
    confusion_picture = models.FileField(upload_to=network_folder)

    def __str__(self) -> str:
        return f"{self.architecture} {self.pk}"


class Ensemble(models.Model):
    """Networks that decide together, each by its weight."""

    name = models.CharField(max_length=100)
    networks = models.ManyToManyField(Network, through="Membership", related_name="ensembles")
    created = models.DateTimeField(auto_now_add=True)
    pooling = models.CharField(
        max_length=11,
        choices=[(name, name) for name in POOLINGS],
        default="probability",
        help_text="Whether the weighted mean is of probabilities or of their logarithms.",
    )
    correction = models.FloatField(
        default=0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="How much of what unequal class frequencies in training did to it is taken back: 0 nothing, 1 all.",
    )

    def __str__(self) -> str:
        return self.name

    def normalize(self) -> None:
        """Scale the weights so that they sum to one; all zero become equal."""
        memberships = list(self.memberships.all())
        shares = normalise(np.array([member.weight for member in memberships]))
        for member, share in zip(memberships, shares.tolist(), strict=True):
            member.weight = share
        Membership.objects.bulk_update(memberships, ["weight"])

    @staticmethod
    def check_members(members: Sequence[tuple["Network", float]]) -> None:
        """Check that networks can decide together with these weights.

        Raises:
            ValidationError: there is no network, one stands twice, they tell different characters apart, or the
                weights can't be normalised.
        """
        networks = [network for network, _ in members]
        weights = [weight for _, weight in members]
        if not networks:
            raise ValidationError("An ensemble needs at least one network.")
        if len({network.pk for network in networks}) < len(networks):
            raise ValidationError("A network can stand in an ensemble only once; give it more weight instead.")
        if len({network.classes for network in networks}) > 1:
            raise ValidationError("These networks tell different characters apart, so they can't decide together.")
        if not all(math.isfinite(weight) and weight >= 0 for weight in weights):
            raise ValidationError("A weight is a number from 0 upward.")
        if not any(weights):
            raise ValidationError("At least one network needs a weight above 0.")

    @property
    def evaluation(self) -> "Evaluation | None":
        """The latest evaluation of it as it is now; None where its members, weights and pooling were not judged yet."""
        weights = {str(member.network_id): member.weight for member in self.memberships.all()}
        found = (
            judged
            for judged in self.evaluations.all()
            if (judged.weights, judged.pooling, judged.correction) == (weights, self.pooling, self.correction)
        )
        return max(found, key=lambda judged: (judged.created, judged.pk), default=None)


class Membership(models.Model):
    """A network in an ensemble, with its weight."""

    ensemble = models.ForeignKey(Ensemble, on_delete=models.CASCADE, related_name="memberships")
    network = models.ForeignKey(Network, on_delete=models.PROTECT, related_name="memberships")
    weight = models.FloatField(default=1, validators=[MinValueValidator(0)])

    class Meta:
        constraints = [models.UniqueConstraint("ensemble", "network", name="member_once")]

    def __str__(self) -> str:
        return f"{self.network} × {self.weight:.3f}"


class Evaluation(models.Model):
    """What an ensemble or a network was worth on the test glyphs at one time, with all that decides what it says.

    It can serve as it was judged, also after its ensemble was changed. Figures are None where it is older than they.
    """

    ensemble = models.ForeignKey(Ensemble, null=True, blank=True, on_delete=models.CASCADE, related_name="evaluations")
    network = models.ForeignKey(Network, null=True, blank=True, on_delete=models.CASCADE, related_name="evaluations")
    created = models.DateTimeField()
    weights = models.JSONField(help_text="Weight by network id, as evaluated.")
    pooling = models.CharField(max_length=11, default="probability")
    correction = models.FloatField(default=0)
    counts = models.JSONField(default=list, blank=True, help_text="Training glyphs by class, for the correction.")
    temperature = models.FloatField(
        default=1, help_text="By what its log-probabilities are divided, so that they tell how often it is right."
    )
    validation_size = models.PositiveIntegerField(default=0, help_text="Glyphs that the temperature was found on.")
    snapshots = models.JSONField(default=dict, blank=True, help_text="Hash of the label snapshot by network id.")
    test_size = models.PositiveIntegerField()
    test_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the test glyphs and their labels.")
    accuracy = models.FloatField()
    macro_f1 = models.FloatField(null=True, blank=True)
    top3 = models.FloatField(null=True, blank=True)
    folded = models.FloatField(null=True, blank=True, help_text="Accuracy where look-alikes count as the same.")
    log_loss = models.FloatField(null=True, blank=True)
    brier = models.FloatField(null=True, blank=True)
    ece = models.FloatField(
        null=True, blank=True, help_text="Expected calibration error over 15 bins of as many glyphs each."
    )
    confusion = models.JSONField(
        default=list, blank=True, help_text="Counts; the row is the label, the column its guess."
    )
    said = models.BinaryField(default=b"", help_text="The class guessed for each test glyph, a byte each, by digest.")
    right = models.BinaryField(default=b"", help_text="Whether that was right, a bit each.")
    seconds = models.FloatField()
    confusion_picture = models.FileField(upload_to=evaluation_folder, blank=True)
    reliability_picture = models.FileField(upload_to=evaluation_folder, blank=True)
    errors_picture = models.FileField(upload_to=evaluation_folder, blank=True)
    growth_picture = models.FileField(upload_to=evaluation_folder, blank=True)

    PICTURES = ("confusion_picture", "reliability_picture", "errors_picture", "growth_picture")

    class Meta:
        indexes = [models.Index("ensemble", "created", name="evaluation_latest")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(ensemble=None) ^ models.Q(network=None), name="evaluation_of_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.accuracy:.2%} of {self.test_size:,}"

    @property
    def subject(self) -> "Ensemble | Network | None":
        """The ensemble or the network that was judged."""
        return self.ensemble or self.network

    def discard_pictures(self) -> None:
        """Delete the pictures; the figures stay."""
        files = [getattr(self, name) for name in self.PICTURES]
        names = [file.name for file in files if file]
        for name in self.PICTURES:
            setattr(self, name, "")
        self.save(update_fields=self.PICTURES)  # First, so that no page leads to a file that is gone.
        for name in names:
            files[0].storage.delete(name)

    @property
    def share(self) -> metrics.Share:
        """The accuracy with its 95 % interval."""
        return metrics.share(round(self.accuracy * self.test_size), self.test_size)

    def decides_like(self, other: "Evaluation") -> bool:
        """Tell whether both are of one ensemble and name the same character for every glyph, however sure they are."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("ensemble_id", "weights", "pooling", "correction", "counts")
        )

    def says_like(self, other: "Evaluation") -> bool:
        """Tell whether both are of one ensemble and give every character of every glyph the same probability."""
        return self.decides_like(other) and self.temperature == other.temperature


class Promotion(models.Model):
    """An ensemble was made the one that serves. The latest whose evaluation is still there is the champion."""

    evaluation = models.ForeignKey(Evaluation, null=True, on_delete=models.SET_NULL, related_name="promotions")
    name = models.CharField(max_length=100, help_text="Of the ensemble, which may be gone.")
    classes = models.CharField(max_length=200, help_text="The characters that it tells apart.")
    previous = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=150, blank=True, help_text="The administrator; empty where it won by itself.")
    p_value = models.FloatField(null=True, blank=True, help_text="Of McNemar's test against the one that served.")
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} serves"


class Prior(models.Model):
    """What an ensemble that never learned from a glyph thinks of it: calibrated class probabilities."""

    glyph = models.OneToOneField(Glyph, primary_key=True, on_delete=models.CASCADE)
    ensemble = models.ForeignKey(Ensemble, on_delete=models.CASCADE, related_name="priors")
    evaluation = models.ForeignKey(
        Evaluation,
        null=True,
        on_delete=models.SET_NULL,
        related_name="priors",
        help_text="By which the ensemble served.",
    )
    probabilities = models.BinaryField(help_text="One 16-bit float a class, in the order of the alphabet.")

    def __str__(self) -> str:
        return f"prior of {self.glyph_id} by {self.ensemble_id}"


class Work(models.Model):
    """A piece of long work in the background, with how far it has come."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    done = models.FloatField(default=0, help_text="Share that is done, 0 to 1.")
    line = models.CharField(max_length=200, blank=True, help_text="What it is doing now, or why it failed.")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in {Work.State.FINISHED, Work.State.FAILED}


class Run(Work):
    """A training, or another piece of work on networks and ensembles."""

    KINDS = ("training", "evaluation", "optimisation", "opinions")

    kind = models.CharField(max_length=20, choices=[(kind, kind) for kind in KINDS])
    options = models.JSONField(default=dict)
    ensemble = models.ForeignKey(Ensemble, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
