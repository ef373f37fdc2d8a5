"""What we decided and did: a SQLite file, reached through SQLAlchemy Core."""
