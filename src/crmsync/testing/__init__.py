"""The conformance kit: laws that every connector keeps.

``docs/writing-a-connector.md`` shows how an author uses it.
Only `crmsync.testing.laws` needs pytest.
"""
