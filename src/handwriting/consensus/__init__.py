"""From votes to labels."""
