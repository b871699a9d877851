import json

import django.db.models.deletion
from django.db import migrations, models


def name_sources(apps, schema_editor):
    """Let ballots that wait name their source: it is stored when they are counted."""
    waiting = apps.get_model("challenges", "Attempt").objects.filter(ballot__isnull=False).select_related("source")
    for attempt in waiting:
        attempt.ballot = json.dumps([attempt.source.key, *json.loads(attempt.ballot)])
        attempt.save(update_fields=["ballot"])


class Migration(migrations.Migration):
    dependencies = [
        ("challenges", "0005_ballot"),
        ("labelling", "0005_closed"),
    ]

    operations = [
        migrations.RunPython(name_sources),
        migrations.AlterField(
            model_name="attempt",
            name="source",
            field=models.ForeignKey(
                help_text="None until it was counted.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="labelling.source",
            ),
        ),
    ]
