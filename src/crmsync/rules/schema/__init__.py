"""JSON Schema of rules, segments and rule tests, from the tables that the loader itself reads by.

It is draft-07: every release of the YAML language server understands that draft, and nothing of a
later one is needed. What a later word of the language means to the loader, and has no shape here
yet, is let through: an editor must not refuse what `check` accepts.
"""

from crmsync.rules.schema.files import rule_schema, segment_schema
from crmsync.rules.schema.names import Names
from crmsync.rules.schema.rule_tests import rule_test_schema

__all__ = ["Names", "rule_schema", "rule_test_schema", "segment_schema"]
