
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('glyphs', '0001_initial'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='glyph',
            name='glyph_labelled_unless_unknown',
        ),
        migrations.AddField(
            model_name='glyph',
            name='given',
            field=models.CharField(blank=True, default='', help_text='The label that came with the data set or from an administrator.', max_length=1),
        ),
        migrations.AddField(
            model_name='glyph',
            name='heard_from',
            field=models.DateTimeField(blank=True, help_text='Votes before this time do not count: its label was taken away then.', null=True),
        ),
        migrations.AddField(
            model_name='glyph',
            name='passes',
            field=models.PositiveIntegerField(default=0, help_text='As a control: how often it was read right by someone who had all other controls right.'),
        ),
        migrations.AddField(
            model_name='glyph',
            name='posterior',
            field=models.FloatField(blank=True, help_text='Probability of the label, or of the likeliest character where there is none.', null=True),
        ),
        migrations.AddField(
            model_name='glyph',
            name='worth',
            field=models.FloatField(default=3.0, help_text='How much one more vote is expected to tell.'),
        ),
        migrations.AlterField(
            model_name='glyph',
            name='state',
            field=models.CharField(choices=[('unknown', 'Unknown'), ('provisional', 'Provisional'), ('accepted', 'Accepted'), ('control', 'Control'), ('disputed', 'Disputed'), ('unreadable', 'Unreadable')], default='unknown', max_length=12),
        ),
        # Until now a control was always one whose label was given.
        migrations.RunSQL(
            "UPDATE glyphs_glyph SET given = label WHERE state = 'control'", migrations.RunSQL.noop
        ),
        migrations.AddConstraint(
            model_name='glyph',
            constraint=models.CheckConstraint(condition=models.Q(('label', ''), ('state__in', ('accepted', 'control')), _connector='XOR'), name='glyph_labelled_in_its_state'),
        ),
    ]
