"""The addresses that programs call."""

urlpatterns: list[object] = []
