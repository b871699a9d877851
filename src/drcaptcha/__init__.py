"""The service: a Django project that stores, serves and shows what ``handwriting`` computes."""
