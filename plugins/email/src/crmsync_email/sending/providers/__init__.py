"""Providers that take mail over HTTP; what each of them wants stands in a module of its own."""
