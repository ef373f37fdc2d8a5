from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crmsync.config.base import Settings, validate
from crmsync.config.secrets import DatabaseUrl, Secret
from crmsync.config.yaml import Problems, parse_yaml
from crmsync.errors import AuthError
from crmsync.observe import redact

if TYPE_CHECKING:
    from pathlib import Path


class _Options(Settings):
    token: Secret


def test_a_secret_is_revealed_only_on_demand_and_hidden_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "s3cr3t-value")
    options = _Options.model_validate({"token": "env:CRM_TOKEN"})
    assert "s3cr3t" not in repr(options)
    assert options.model_dump_json() == '{"token":"Secret(env:CRM_TOKEN)"}'
    assert options.token.reveal() == "s3cr3t-value"
    assert redact("token=s3cr3t-value;") == "token=[redacted];"


def test_a_secret_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("abcd-from-file\n", encoding="utf-8")
    assert Secret(f"file:{path}").reveal() == "abcd-from-file"


def test_a_secret_file_is_found_from_the_configs_folder(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("beside-the-config", encoding="utf-8")
    document = parse_yaml("token: file:token", "config.yaml")
    options = validate(
        _Options,
        document.data,
        document=document,
        path=(),
        problems=Problems(),
        folder=tmp_path,
    )
    assert options is not None
    assert options.token.reveal() == "beside-the-config"


def test_what_is_not_there_is_an_auth_error() -> None:
    with pytest.raises(AuthError, match="NOT_SET_ANYWHERE is not set"):
        Secret("env:NOT_SET_ANYWHERE").reveal()
    with pytest.raises(AuthError, match="No such file"):
        Secret("file:/nonexistent/token").reveal()


def test_a_secret_written_out_is_refused_and_not_repeated() -> None:
    problems = Problems()
    document = parse_yaml("token: hunter22", "config.yaml")
    assert validate(_Options, document.data, document=document, path=(), problems=problems) is None
    assert problems.sentences == [
        "config.yaml:1:8: “token”: a secret is written as a reference, env:NAME or file:PATH"
    ]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_url_of_a_database_may_stand_in_the_config_and_is_hidden_all_the_same(
    scheme: str,
) -> None:
    url = DatabaseUrl(f"{scheme}://us:s3cr3t-word@db.example/crm")
    assert "s3cr3t" not in repr(url)
    assert url.reveal().endswith("s3cr3t-word@db.example/crm")
    assert "s3cr3t" not in redact(f"no way to {url.reveal()}")


def test_the_url_of_a_database_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER", "postgresql://us@db.example/crm")
    assert DatabaseUrl("env:LEDGER").reveal() == "postgresql://us@db.example/crm"
    assert repr(DatabaseUrl("env:LEDGER")) == "Secret(env:LEDGER)"


@pytest.mark.parametrize("text", ["mysql://us:s3cr3t@db/crm", "s3cr3t", ""])
def test_what_is_no_url_of_a_database_is_told_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="postgresql://USER@HOST/DATABASE") as told:
        DatabaseUrl(text)
    assert "s3cr3t" not in str(told.value)
