"""What those may do who look after a site and nothing else."""

from django.contrib.auth.models import Group, Permission

GROUP = "Site owners"
RIGHTS = ("view_site", "add_site", "change_site", "delete_site")


def ensure_group() -> Group:
    """Return the group of site owners, making it where it is missing. Who has changed its rights keeps them so."""
    group, made = Group.objects.get_or_create(name=GROUP)
    if made:
        group.permissions.set(Permission.objects.filter(content_type__app_label="sites", codename__in=RIGHTS))
    return group
