"""The script that a site embeds: plain ES modules, served as they are written."""
