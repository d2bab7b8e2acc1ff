"""S13: a secret that others could read is refused, and none is printed."""

from pathlib import Path

import pytest

from tagfs.config.errors import ConfigError
from tagfs.config.load import load
from tagfs.config.secrets import redacted

SECRETS = [
    '[torrent]\nproxy = "socks5://me:hunter2@proxy.example:1080"\n',
    '[transfer]\nproxy = "http://me:hunter2@proxy.example:3128"\n',
    '[transfer.headers]\nAuthorization = "Bearer hunter2"\n',
    '[transfer.headers]\nCookie = "session=hunter2"\n',
    '[transfer.headers]\nX-Api-Key = "hunter2"\n',
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
    assert redacted("headers", {"Cookie": "hunter2", "DNT": "1"}) == {"Cookie": "***", "DNT": "1"}
    assert redacted("max_active", 3) == 3
