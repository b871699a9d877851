"""Let the ensemble that served until now be the first champion: the best of those judged on as many glyphs as the last."""

from django.db import migrations


def crown(apps, schema_editor):
    Evaluation = apps.get_model("learning", "Evaluation")
    Promotion = apps.get_model("learning", "Promotion")
    latest = {}
    for row in Evaluation.objects.exclude(ensemble=None).select_related("ensemble").order_by("created", "pk"):
        latest[row.ensemble_id] = row
    by_classes = {}
    for row in sorted(latest.values(), key=lambda row: (row.created, row.pk)):
        network = row.ensemble.networks.first()
        if network is not None:
            by_classes.setdefault(network.classes, []).append(row)
    for classes, rows in by_classes.items():
        comparable = [row for row in rows if row.test_size == rows[-1].test_size]
        best = max(comparable, key=lambda row: (row.accuracy, row.ensemble_id))
        Promotion.objects.create(
            evaluation=best,
            name=best.ensemble.name,
            classes=classes,
            reason="it served before promotions were kept",
            created=best.created,
        )


class Migration(migrations.Migration):
    dependencies = [("learning", "0003_judgements")]

    operations = [migrations.RunPython(crown, migrations.RunPython.noop)]
