"""Who may enter the administration."""

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from drcaptcha.administration.base import ModelAdmin

# Django registered both without the theme when their module was imported above.
admin.site.unregister([User, Group])

admin.site.index_title = "Dashboard"


@admin.register(User)
class UserAdmin(PlainUserAdmin[User], ModelAdmin[User]):
    """People who sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(PlainGroupAdmin, ModelAdmin[Group]):
    """What people may do together."""
