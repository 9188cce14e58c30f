import os
import stat
from pathlib import Path

import pytest

from gateway.identity.keyfiles import (
    KeyFileError,
    new_document_key,
    new_secret,
    new_tls_key,
    parse_document_public_key,
    private_file,
    public_pem,
    read_document_key,
    read_private,
    read_secret,
    read_tls_key,
    write_new,
    write_private_key,
)


def code(caught) -> str:
    return caught.value.code


def test_a_private_key_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    before = os.umask(0)
    try:
        write_private_key(path, new_document_key())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_document_key(path)


def test_keys_come_back_as_they_were(tmp_path: Path) -> None:
    tls, document, secret = new_tls_key(), new_document_key(), new_secret()
    write_private_key(tmp_path / "t", tls)
    write_private_key(tmp_path / "d", document)
    write_new(tmp_path / "s", secret, 0o600)
    assert read_tls_key(tmp_path / "t").public_key() == tls.public_key()
    assert read_document_key(tmp_path / "d").public_key() == document.public_key()
    assert read_secret(tmp_path / "s") == secret


def test_an_existing_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(b"precious")
    with pytest.raises(KeyFileError) as caught:
        write_private_key(path, new_tls_key())
    assert code(caught) == "FILE_EXISTS"
    assert path.read_bytes() == b"precious"


def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    write_new(target, new_secret(), 0o600)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError):
        read_secret(tmp_path / "link")
    with pytest.raises(KeyFileError):
        write_new(tmp_path / "dangling", b"x", 0o600)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o777])
def test_a_key_that_others_could_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.key"
    write_private_key(path, new_document_key())
    path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        read_document_key(path)
    assert code(caught) == "BAD_FILE_MODE"
    assert "chmod 600" in caught.value.hints[0]
    assert str(tmp_path) not in caught.value.message


def test_a_folder_or_nothing_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as missing:
        read_private(tmp_path / "missing")
    assert code(missing) == "NO_KEY"
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyFileError):
        read_private(tmp_path / "folder")


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_private_key(tmp_path / "t", new_tls_key())
    write_private_key(tmp_path / "d", new_document_key())
    write_new(tmp_path / "s", b"short", 0o600)
    for read, name in (
        (read_document_key, "t"),
        (read_tls_key, "d"),
        (read_secret, "s"),
        (read_tls_key, "s"),
    ):
        with pytest.raises(KeyFileError) as caught:
            read(tmp_path / name)
        assert code(caught) == "BAD_KEY"


def test_only_ed25519_keys_are_document_keys() -> None:
    assert parse_document_public_key(public_pem(new_document_key().public_key()))
    for pem in (b"", b"hello", public_pem(new_tls_key().public_key())):
        with pytest.raises(KeyFileError) as caught:
            parse_document_public_key(pem)
        assert code(caught) == "BAD_KEY"


def test_a_private_file_is_its_owner_s_alone_before_anything_stands_in_it(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"something longer that stood there")
    path.chmod(0o644)
    with private_file(path) as sink:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == b""
        sink.write(b"rows")
    assert path.read_bytes() == b"rows"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(OSError, match="link"), private_file(link):
        pass


def test_a_file_that_could_not_be_written_whole_does_not_stay(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.identity.keyfiles.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "s", b"x", 0o600)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    write_new(tmp_path / "s", b"x", 0o600)
