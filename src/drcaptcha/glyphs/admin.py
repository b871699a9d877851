"""Data sets in the administration, and how a glyph is shown wherever one appears.

The page of a glyph itself shows its votes, so it stands with them in ``labelling``.
"""

import base64
from io import BytesIO

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from PIL import Image

from drcaptcha.administration.base import Log
from drcaptcha.glyphs.models import DataSet, Glyph


def picture(glyph: Glyph, *, side: int = 48) -> SafeString:
    """Return the glyph as dark ink on light paper, ``side`` CSS pixels wide.

    The picture travels in the page itself: a list of a hundred stays one request.
    """
    file = BytesIO()
    Image.fromarray(255 - glyph.array).save(file, "PNG", compress_level=1)
    return format_html(
        '<img class="glyph" src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">',
        base64.b64encode(file.getvalue()).decode(),
        side,
        side,
        glyph,
    )


@admin.register(DataSet)
class DataSetAdmin(Log[DataSet]):
    """Where glyphs came from."""

    until_there_is_one = "manage.py importemnist and manage.py importfolder bring handwriting."
    list_display = ("name", "caseless", "glyphs", "created")
    search_fields = ("name",)
    fields = ("name", "caseless", "glyphs", "created")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DataSet]:
        """Count the glyphs of each data set."""
        return super().get_queryset(request).annotate(size=Count("glyphs"))

    @admin.display(description="glyphs")
    def glyphs(self, row: DataSet) -> SafeString:
        """Link to the glyphs of a data set."""
        address = reverse("admin:glyphs_glyph_changelist", query={"data_set__id__exact": row.pk})
        return format_html('<a class="row-link" href="{}">{}</a>', address, f"{row.size:,}")  # type: ignore[attr-defined]
