
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('glyphs', '0002_states'),
        ('labelling', '0001_initial'),
        ('learning', '0002_priors'),
    ]

    operations = [
        migrations.CreateModel(
            name='Estimate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('parameters', models.JSONField()),
                ('votes', models.PositiveBigIntegerField(help_text='How many it was made from.')),
                ('sources', models.PositiveIntegerField()),
                ('last_vote', models.PositiveBigIntegerField(default=0, help_text='The number of the last vote that went into it.')),
                ('last_miss', models.PositiveBigIntegerField(default=0, help_text='The number of the last miss that went into it.')),
                ('moved', models.PositiveIntegerField(default=0, help_text='Glyphs whose label or state it moved.')),
                ('seconds', models.FloatField(default=0)),
                ('created', models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name='decision',
            name='after_state',
            field=models.CharField(blank=True, choices=[('unknown', 'Unknown'), ('provisional', 'Provisional'), ('accepted', 'Accepted'), ('control', 'Control'), ('disputed', 'Disputed'), ('unreadable', 'Unreadable')], default='', max_length=12),
        ),
        migrations.AddField(
            model_name='decision',
            name='before_state',
            field=models.CharField(blank=True, choices=[('unknown', 'Unknown'), ('provisional', 'Provisional'), ('accepted', 'Accepted'), ('control', 'Control'), ('disputed', 'Disputed'), ('unreadable', 'Unreadable')], default='', max_length=12),
        ),
        migrations.AddField(
            model_name='decision',
            name='posterior',
            field=models.FloatField(blank=True, help_text='Of the label, or of the likeliest character.', null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='prior',
            field=models.FloatField(blank=True, help_text='What a network thought of that character before.', null=True),
        ),
        migrations.AddField(
            model_name='decision',
            name='sources',
            field=models.PositiveIntegerField(default=0, help_text='Distinct ones that typed the likeliest character.'),
        ),
        migrations.AddField(
            model_name='decision',
            name='votes',
            field=models.PositiveIntegerField(default=0, help_text='How many counted.'),
        ),
        migrations.AddField(
            model_name='source',
            name='doubt',
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name='source',
            name='honesty',
            field=models.PositiveSmallIntegerField(help_text='In percent; empty before it has voted.', null=True),
        ),
        migrations.AddField(
            model_name='source',
            name='mass',
            field=models.SmallIntegerField(default=0, help_text='On how much it rests, in steps of a quarter more each.'),
        ),
        migrations.AddField(
            model_name='source',
            name='settled',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='source',
            name='settled_doubt',
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name='source',
            name='settled_trust',
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name='source',
            name='trust',
            field=models.FloatField(default=0),
        ),
        migrations.AddField(
            model_name='source',
            name='weighed',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='vote',
            name='answer',
            field=models.CharField(blank=True, default='', help_text="Its class; ? for “can't read”, empty for none.", max_length=1),
        ),
        migrations.AddField(
            model_name='vote',
            name='controls',
            field=models.PositiveSmallIntegerField(default=0, help_text='Controls of the captcha that were read right.'),
        ),
        migrations.AddField(
            model_name='vote',
            name='evidence',
            field=models.FloatField(default=0, help_text='What it says of its source, -1 (a lie) to 1 (honest).'),
        ),
        migrations.AddField(
            model_name='vote',
            name='known',
            field=models.CharField(blank=True, default='', help_text='In an audit: the class it was known as.', max_length=1),
        ),
        migrations.AddField(
            model_name='vote',
            name='prior',
            field=models.ForeignKey(blank=True, help_text="The ensemble whose opinion was the glyph's prior.", null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='learning.ensemble'),
        ),
        migrations.CreateModel(
            name='Miss',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('captcha', models.PositiveBigIntegerField(help_text='The captcha in which it stood.')),
                ('known', models.CharField(blank=True, default='', help_text='The label that it had.', max_length=1)),
                ('alone', models.BooleanField(help_text='Whether all other controls of the captcha were right.')),
                ('created', models.DateTimeField()),
                ('glyph', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='misses', to='glyphs.glyph')),
                ('source', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='misses', to='labelling.source')),
            ],
            options={
                'verbose_name_plural': 'misses',
                'constraints': [models.UniqueConstraint(models.F('glyph'), models.F('source'), name='miss_once_a_source')],
            },
        ),
    ]
