# SPDX-License-Identifier: Apache-2.0
"""The login, over real HTTP on this machine; and the manifest, on a real disk."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archive_server import NAME, TOKEN, Archive

from rsei.engine.sources.download import QUARANTINE, write_quarantine
from rsei.engine.sources.errors import MachineError
from rsei.engine.sources.login import Refused, login, plain
from rsei.engine.sources.manifest import MANIFEST, Held, Manifest
from rsei.engine.sources.records import Wanted


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No login in the environment, and a home folder without one; the .netrc of that home."""
    for name in ("EARTHDATA_TOKEN", "EARTHDATA_USERNAME", "EARTHDATA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "home" / ".netrc"
    netrc.parent.mkdir()
    monkeypatch.setenv("HOME", str(netrc.parent))
    monkeypatch.setenv("NETRC", str(netrc))
    return netrc


def test_no_login_says_how_to_get_one(nobody: Path) -> None:
    with pytest.raises(Refused, match="found none; make a token at https"):
        login()


def test_a_login_of_netrc_becomes_a_token(
    nobody: Path, archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody.write_text("machine 127.0.0.1 login me password pass-w0rd\n")
    nobody.chmod(0o600)
    assert login(archive.base).token == TOKEN
    assert nobody.read_text() == "machine 127.0.0.1 login me password pass-w0rd\n"
    assert "".join(capsys.readouterr()) == ""


def test_a_wrong_password_is_said_without_it(
    nobody: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("EARTHDATA_USERNAME", "me")
    monkeypatch.setenv("EARTHDATA_PASSWORD", "pass-wr0ng")
    with pytest.raises(Refused, match="refused the login and password of the environment") as error:
        login(archive.base)
    assert "pass-wr0ng" not in str(error.value) + "".join(capfd.readouterr())


def test_a_token_needs_no_request(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARTHDATA_TOKEN", f" {TOKEN}\n")
    found = login("http://127.0.0.1:9")
    assert found.token == TOKEN
    assert TOKEN not in repr(found)
    monkeypatch.setenv("EARTHDATA_TOKEN", "two\nlines")
    with pytest.raises(Refused, match="one word"):
        login()


def test_addresses_lose_what_signs_them() -> None:
    assert plain("https://u:p@h.org/a/b.hdf?X-Amz-Signature=1") == "https://h.org/a/b.hdf"


def held(name: str, size: int = 3) -> Held:
    return Held(f"a/{name}", size, "MD5", "ab", "https://h/x", "2026-01-01T00:00:00+00:00")


def test_a_manifest_is_read_back(tmp_path: Path) -> None:
    wanted = Wanted("MOD09A1", "061", "h27v05", date(2012, 6, 9))
    one = Manifest(tmp_path)
    with one.writing():
        one.fail(NAME, "why")
        one.fail("other.hdf", "so")
        one.hold(held(NAME))
        one.miss(wanted)
    again = Manifest.read(tmp_path)
    assert again.held == {NAME: held(NAME)} and again.failed == {"other.hdf": "so"}
    assert again.settled(wanted) and one.settled(wanted)
    assert not again.sound(NAME)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / NAME).write_bytes(b"12")
    assert not again.sound(NAME)
    (tmp_path / "a" / NAME).write_bytes(b"123")
    assert again.stems() == {wanted.stem}


def test_a_line_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    one = Manifest(tmp_path)
    with one.writing():
        one.hold(held(NAME))
    path = tmp_path / MANIFEST
    path.write_bytes(path.read_bytes() + b'{"file": "a/x.hdf", "si')
    again = Manifest.read(tmp_path)
    assert set(again.held) == {NAME}
    with again.writing():
        again.hold(held("y.hdf"))
    assert set(Manifest.read(tmp_path).held) == {NAME, "y.hdf"}


def test_a_manifest_leads_to_no_other_folder(tmp_path: Path) -> None:
    lines = [held(NAME).__dict__ | {"file": file} for file in ("/etc/passwd", "../x.hdf")]
    (tmp_path / MANIFEST).write_text("\n".join(map(json.dumps, lines)))
    assert Manifest.read(tmp_path).held == {}


def test_one_fetch_at_a_time(tmp_path: Path) -> None:
    with Manifest(tmp_path).writing():
        with pytest.raises(MachineError, match="another rsei fetch"):
            with Manifest(tmp_path).writing():
                pass
    with Manifest(tmp_path).writing():
        pass


def test_a_recent_absence_is_not_for_good(tmp_path: Path) -> None:
    one = Manifest(tmp_path)
    soon = Wanted("MOD09A1", "061", "h27v05", datetime.now(UTC).date() - timedelta(30))
    with one.writing():
        one.miss(soon)
    assert not Manifest.read(tmp_path).settled(soon)


def test_the_quarantine_is_listed(tmp_path: Path) -> None:
    write_quarantine(tmp_path, {"b.hdf": "late, and wrong", "a.hdf": "gone"})
    text = (tmp_path / QUARANTINE / "quarantine.csv").read_text()
    assert text == 'file,reason\na.hdf,gone\nb.hdf,"late, and wrong"\n'
    write_quarantine(tmp_path, {})
    assert list((tmp_path / QUARANTINE).iterdir()) == []
