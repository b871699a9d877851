"""Keep with each prior by which evaluation it was given, and count what the networks of before knew as known.

Networks that were trained before ``known_labels`` was kept have 0 there, which would make every label a new one.
"""

import django.db.models.deletion
from django.db import migrations, models


def count_labels(apps, schema_editor):
    Glyph = apps.get_model("glyphs", "Glyph")
    Network = apps.get_model("learning", "Network")
    labels = Glyph.objects.filter(split="train").exclude(label="").count()
    Network.objects.filter(known_labels=0).update(known_labels=labels)


class Migration(migrations.Migration):
    dependencies = [("glyphs", "0002_states"), ("learning", "0004_champion")]

    operations = [
        migrations.AddField(
            model_name="prior",
            name="evaluation",
            field=models.ForeignKey(
                help_text="By which the ensemble served.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="priors",
                to="learning.evaluation",
            ),
        ),
        migrations.RunPython(count_labels, migrations.RunPython.noop),
    ]
