"""What those may do who look after a site and nothing else."""

from typing import TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission
from django.db.models import QuerySet

from drcaptcha.sites.models import Site

Sites = TypeVar("Sites", bound=QuerySet[Site])

GROUP = "Site owners"
RIGHTS = ("view_site", "add_site", "change_site", "delete_site")


def ensure_group() -> Group:
    """Return the group of site owners, making it where it is missing. Who has changed its rights keeps them so."""
    group, made = Group.objects.get_or_create(name=GROUP)
    if made:
        group.permissions.set(Permission.objects.filter(content_type__app_label="sites", codename__in=RIGHTS))
    return group


def only_of(user: AbstractBaseUser | AnonymousUser, sites: Sites) -> Sites:
    """Return those of ``sites`` that a user looks after: superusers all, others their own."""
    return sites if getattr(user, "is_superuser", False) else sites.filter(owner=user.pk)
