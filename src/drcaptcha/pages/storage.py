"""How static files are stored: under names that change with their content, so that browsers may keep them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # WhiteNoise has no types.
    """WhiteNoise's storage, which here also renames the modules that modules import."""

    support_js_module_import_aggregation = True
