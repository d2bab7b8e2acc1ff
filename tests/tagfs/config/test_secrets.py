"""S13: a secret that others could read is refused, and none is printed."""

from pathlib import Path

import pytest

from tagfs.config.errors import ConfigError
from tagfs.config.load import load
from tagfs.config.secrets import redacted

SECRETS = [
    '[torrent]\nproxy = "socks5://me:hunter2@proxy.example:1080"\n',
    '[transfer]\nproxy = "http://me:hunter2@proxy.example:3128"\n',
    '[transfer.host_headers."files.example.org"]\nAuthorization = "Bearer hunter2"\n',
    '[transfer.host_headers."http://nas:8080"]\nX-Mine = "hunter2"\n',
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_with_a_secret_must_be_private(tmp_path: Path, text: str, mode: int) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load({"HOME": str(tmp_path)}, file=str(file))
    assert f"run: chmod 600 {file}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    file.chmod(0o600)
    load({"HOME": str(tmp_path)}, file=str(file))


@pytest.mark.parametrize("text", ['[transfer]\nproxy = "http://proxy:3128"\n', '[transfer.headers]\nDNT = "1"\n'])
def test_a_file_without_a_secret_may_be_readable(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    file.chmod(0o644)
    load({"HOME": str(tmp_path)}, file=str(file))


def test_what_is_printed_holds_no_secret() -> None:
    assert redacted("proxy", "http://me:hunter2@proxy:3128") == "http://***@proxy:3128"
    assert redacted("proxy", "me:hunt@er2@proxy:3128") == "***@proxy:3128"
    assert redacted("proxy", "http://me:hun/t?e#r2@proxy:3128") == "http://***@proxy:3128"
    assert redacted("host_headers", {"h": {"Cookie": "hunter2"}}) == {"h": {"Cookie": "***"}}
    assert redacted("max_active", 3) == 3


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "Cookie", "X-Api-Key", "X-Auth-Token"])
def test_a_secret_goes_to_no_server_that_it_is_not_meant_for(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[transfer.headers]\n{name} = "hunter2"\n')
    file.chmod(0o600)
    with pytest.raises(
        ConfigError, match=f"headers must be without {name}, which every server would get: .*host_head"
    ) as caught:
        load({"HOME": str(tmp_path)}, file=str(file))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['headers = {"A B" = "c"}', 'headers = {"A:" = "c"}', 'headers = {A = "b\\r\\nC: d"}', "headers = 1",
     "host_headers = 1", 'host_headers = {"h" = "x"}', 'host_headers = {"me:pw@h" = {A = "b"}}',
     'host_headers = {"h/x" = {A = "b"}}',
     'host_headers = {"ftp://h" = {A = "b"}}', 'host_headers = {"h:x" = {A = "b"}}', 'host_headers = {"h" = {A = 1}}'],
)  # fmt: skip
def test_headers_that_cannot_be(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[transfer]\n{text}\n")
    with pytest.raises(ConfigError, match="headers must be"):
        load({"HOME": str(tmp_path)}, file=str(file))


def test_headers_by_host(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[transfer.host_headers]\n"http://[::1]:80" = {A = "b"}\n"H" = {}\n')
    file.chmod(0o600)
    assert load({"HOME": str(tmp_path)}, file=str(file)).config.transfer.host_headers == {"http://[::1]:80": {"A": "b"}}


@pytest.mark.parametrize("section", ["transfer", "torrent"])
@pytest.mark.parametrize(
    "url",
    ["http://me:hun/ter2@p:1", "http://me:hun?ter2@p:1", "http://me:hun#ter2@p:1", "socks5://me:hunter2@p:x",
     "hunter2"],
)  # fmt: skip
def test_what_is_wrong_with_a_proxy_is_said_without_its_password(tmp_path: Path, section: str, url: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[{section}]\nproxy = "{url}"\n')
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"proxy must be a URL such as socks5://HOST:PORT") as caught:
        load({"HOME": str(tmp_path)}, file=str(file))
    assert "hun" not in str(caught.value)
