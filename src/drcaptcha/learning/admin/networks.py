"""Networks in the administration: their figures and files, and what they learned from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from drcaptcha.administration.base import Deletable, Log, link, once, refusing
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph
from drcaptcha.learning import cards, deleting, snapshots
from drcaptcha.learning.admin import cells
from drcaptcha.learning.admin.cells import share
from drcaptcha.learning.models import Network

FILES = ("onnx", "float_onnx", "architecture_picture", "loss_picture", "accuracy_picture", "confusion_picture")
"""The files of a network that administrators may fetch."""


PAGE = 120
"""Glyphs of a snapshot on a page."""

PARTS = {"": "all", "learned": "learned from", "held": "held for validation"}


@dataclass(frozen=True)
class Learned:
    """A glyph as a network met it."""

    glyph: Glyph
    label: str
    held: bool

    @property
    def tile(self) -> SafeString:
        """Its picture, which leads to its page and so to its votes."""
        return link(self.glyph, picture(self.glyph, side=56))

    @property
    def moved(self) -> str:
        """Its label of today, where that is another."""
        return self.glyph.label if self.glyph.label != self.label else ""


@admin.register(Network)
class NetworkAdmin(Deletable[Network], Log[Network]):
    """Trained networks, with their figures and pictures. Those that no ensemble needs can be deleted."""

    until_there_is_one = "Train networks, here under Train or with manage.py train."
    list_display = (
        "name",
        "accuracy_share",
        "epochs",
        "batch_size",
        "train_glyphs",
        "test_glyphs",
        "weights",
        "time",
        "created",
    )
    list_filter = ("architecture",)
    search_fields = ("architecture",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("architecture", "accuracy_share", "created"),
                    ("epochs", "batch_size", "seed"),
                    ("train_glyphs", "test_glyphs", "time"),
                    ("weights", "classes", "file"),
                    "used_in",
                )
            },
        ),
        ("Learned from", {"fields": ("lineage",)}),
        ("Judged", {"fields": ("judgement", "classes_judged")}),
        ("Pictures", {"fields": ("pictures",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Network]:
        """Leave out the histories, which no page shows."""
        return super().get_queryset(request).defer("history")

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of a network's files and of what it learned from."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/files/<str:name>/", wrap(self.file_view, cacheable=True), name="learning_network_file"),
            path("<int:pk>/card/", wrap(self.card_view), name="learning_network_card"),
            path("<int:pk>/snapshot/", wrap(self.snapshot_view), name="learning_network_snapshot"),
            *super().get_urls(),
        ]

    def file_view(self, request: HttpRequest, pk: int, name: str) -> FileResponse:
        """Serve one file of a network to whoever may see networks; no other address serves them.

        Raises:
            Http404: the network, or its file, is not there.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        if name not in FILES:
            raise Http404
        network = get_object_or_404(Network, pk=pk)
        return cells.serve(getattr(network, name), f"{name}-{pk}", attached=name.endswith("onnx"))

    @refusing
    def card_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Serve a zip of the network with its card."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        content = cards.archive(get_object_or_404(Network, pk=pk))
        response = HttpResponse(content, content_type="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="network-{pk}.zip"'
        return response

    @refusing
    def snapshot_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the glyphs that the network learned or was validated on, each leading to its votes."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        network = get_object_or_404(Network, pk=pk)
        part = request.GET.get("part", "") if request.GET.get("part", "") in PARTS else ""
        keys, labels, held = _snapshot_of(network, part)
        page = Paginator(range(len(keys)), PAGE).get_page(request.GET.get("p"))
        chosen = slice(page.start_index() - 1 if len(keys) else 0, page.end_index())
        glyphs = Glyph.objects.in_bulk(keys[chosen].tolist())
        rows = zip(keys[chosen].tolist(), labels[chosen].tolist(), held[chosen].tolist(), strict=True)
        learned = [Learned(glyphs[key], network.classes[label], kept) for key, label, kept in rows if key in glyphs]
        shown = {"network": network, "learned": learned, "page": page, "parts": PARTS.items(), "part": part}
        titles = {"title": f"What {network} learned from", "opts": self.opts, "count": len(keys)}
        return render(
            request, "administration/snapshot.html", {**self.admin_site.each_context(request), **shown, **titles}
        )

    def check_deletion(self, row: Network) -> None:
        """Refuse where an ensemble needs it."""
        deleting.check(row)

    def going(self, row: Network) -> list[str]:  # noqa: ARG002
        """Return what goes with a network."""
        return ["the files that serve, its pictures and its label snapshot", "what it was judged to be worth alone"]

    def staying(self, row: Network) -> str:  # noqa: ARG002
        """Return what stays."""
        return "The glyphs that it learned from stay, with their votes and labels."

    @admin.display(description="network", ordering="architecture")
    def name(self, network: Network) -> str:
        """Return its name."""
        return str(network)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_share(self, network: Network) -> str:
        """Return its accuracy in percent."""
        return share(network.accuracy)

    @admin.display(description="parameters", ordering="parameters")
    def weights(self, network: Network) -> str:
        """Return the number of its weights."""
        return f"{network.parameters:,}"

    @admin.display(description="trained on", ordering="train_size")
    def train_glyphs(self, network: Network) -> str:
        """Return how many glyphs it learned from."""
        return f"{network.train_size:,}"

    @admin.display(description="tested on", ordering="test_size")
    def test_glyphs(self, network: Network) -> str:
        """Return how many glyphs it was judged by."""
        return f"{network.test_size:,}"

    @admin.display(description="training", ordering="seconds")
    def time(self, network: Network) -> str:
        """Return how long its training took."""
        return f"{network.seconds:.1f} s"

    @admin.display(description="file")
    def file(self, network: Network) -> SafeString:
        """Link to the file that serves."""
        files = [(_address(network, "onnx"), "ONNX that serves")]
        if network.float_onnx:
            files.append((_address(network, "float_onnx"), "ONNX in float"))
        files.append((reverse("admin:learning_network_card", args=[network.pk]), "all, with a card, as zip"))
        return format_html_join(", ", '<a class="row-link" href="{}">{}</a>', files)

    @admin.display(description="")
    def lineage(self, network: Network) -> SafeString | str:
        """Tell of its label snapshot, and lead to the glyphs in it."""
        if not network.snapshot:
            return "It was trained before snapshots were kept."
        address = reverse("admin:learning_network_snapshot", args=[network.pk])
        total = network.given_labels + network.voted_labels
        counts = (
            f"{total:,} labels: {network.given_labels:,} given, {network.voted_labels:,} from votes" if total else ""
        )
        return format_html(
            '<p><a class="row-link" href="{}">Glyphs with the labels that they had</a></p><p>{}</p>'
            "<p>SHA-256 <code>{}</code></p>",
            address,
            counts,
            network.snapshot_hash or "not recorded",
        )

    @admin.display(description="")
    @once
    def judgement(self, network: Network) -> SafeString | str:
        """Show the figures of its latest evaluation."""
        return cells.figures(network.evaluations.order_by("-created", "-pk").first())

    @admin.display(description="worst classes")
    @once
    def classes_judged(self, network: Network) -> SafeString | str:
        """List the classes that it reads the worst."""
        return cells.classes(network.evaluations.order_by("-created", "-pk").first(), network.classes)

    @admin.display(description="ensembles")
    def used_in(self, network: Network) -> SafeString | str:
        """Link to the ensembles that it is in."""
        return format_html_join(", ", "{}", ((link(e, e),) for e in network.ensembles.all())) or "none"

    @admin.display(description="")
    def pictures(self, network: Network) -> SafeString:
        """Show the four pictures."""
        names = tuple(name for name in FILES if name.endswith("_picture"))
        return cells.gallery(network, names, lambda name: _address(network, name))


def _address(network: Network, name: str) -> str:
    return reverse("admin:learning_network_file", args=[network.pk, name])


def _snapshot_of(network: Network, part: str) -> tuple[Any, Any, Any]:
    """Return keys, class indices and which are held ``(n,)`` of one part of a snapshot."""
    snapshot = snapshots.of(network)
    if snapshot is None:
        raise Http404("This network has no snapshot.")
    chosen = {"held": snapshot.held, "learned": ~snapshot.held}.get(part, np.ones(len(snapshot.keys), bool))
    return snapshot.keys[chosen], snapshot.labels[chosen], snapshot.held[chosen]
