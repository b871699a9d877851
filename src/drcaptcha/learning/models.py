"""Networks, the ensembles that weigh them, what they were judged to be worth, and the runs that made them."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from drcaptcha.glyphs.models import Glyph
from handwriting.ensembles import normalise


def network_folder(network: "Network", filename: str) -> str:
    """Return where a network's file is stored, in a folder of its own."""
    return f"networks/{network.folder}/{Path(filename).name}"


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
        """The latest evaluation, or None before the first."""
        return self.evaluations.order_by("-created", "-pk").first()


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
    """What an ensemble was worth on the test glyphs at one time, with the weights that it had."""

    ensemble = models.ForeignKey(Ensemble, on_delete=models.CASCADE, related_name="evaluations")
    created = models.DateTimeField()
    accuracy = models.FloatField()
    test_size = models.PositiveIntegerField()
    weights = models.JSONField(help_text="Weight by network id, as evaluated.")
    temperature = models.FloatField(
        default=1, help_text="By what its log-probabilities are divided, so that they tell how often it is right."
    )
    seconds = models.FloatField()

    def __str__(self) -> str:
        return f"{self.accuracy:.2%} of {self.test_size:,}"


class Prior(models.Model):
    """What an ensemble that never learned from a glyph thinks of it: calibrated class probabilities."""

    glyph = models.OneToOneField(Glyph, primary_key=True, on_delete=models.CASCADE)
    ensemble = models.ForeignKey(Ensemble, on_delete=models.CASCADE, related_name="priors")
    probabilities = models.BinaryField(help_text="One 16-bit float a class, in the order of the alphabet.")

    def __str__(self) -> str:
        return f"prior of {self.glyph_id} by {self.ensemble_id}"


class Run(models.Model):
    """A piece of long work in the background, with how far it has come."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"

    kind = models.CharField(max_length=20, choices=[("training", "training"), ("evaluation", "evaluation")])
    options = models.JSONField(default=dict)
    ensemble = models.ForeignKey(Ensemble, null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    done = models.FloatField(default=0, help_text="Share that is done, 0 to 1.")
    line = models.CharField(max_length=200, blank=True, help_text="What it is doing now, or why it failed.")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in {Run.State.FINISHED, Run.State.FAILED}
