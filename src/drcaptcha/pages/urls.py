"""The pages that people read."""

urlpatterns: list[object] = []
