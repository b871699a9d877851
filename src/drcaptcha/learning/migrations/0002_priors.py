
import django.db.models.deletion
import drcaptcha.learning.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('glyphs', '0002_states'),
        ('learning', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='evaluation',
            name='temperature',
            field=models.FloatField(default=1, help_text='By what its log-probabilities are divided, so that they tell how often it is right.'),
        ),
        migrations.AddField(
            model_name='network',
            name='snapshot',
            field=models.FileField(blank=True, help_text='The glyphs and labels that it learned and was validated on.', upload_to=drcaptcha.learning.models.network_folder),
        ),
        migrations.CreateModel(
            name='Prior',
            fields=[
                ('glyph', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to='glyphs.glyph')),
                ('probabilities', models.BinaryField(help_text='One 16-bit float a class, in the order of the alphabet.')),
                ('ensemble', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='priors', to='learning.ensemble')),
            ],
        ),
    ]
