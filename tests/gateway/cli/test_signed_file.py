"""Signed documents in files: new ones only, there before the act, gone with a refused one."""

import pytest

from gateway.cli.main import main
from gateway.cli.signed_file import signed_file, write_signed
from gateway.domain.errors import ConflictError, UnavailableError
from gateway.identity.keyfiles import KeyFileError
from tests.gateway.cli.test_inbound import bureau, described  # noqa: F401 - fixtures
from tests.gateway.cli.test_licence import description  # noqa: F401 - a fixture
from tests.gateway.cli.test_recognition import TERMS, keys, write  # noqa: F401 - fixtures
from tests.simulator import uscc


def test_the_file_is_there_while_the_act_is_done_and_stays(tmp_path) -> None:
    path = tmp_path / "d.jws"
    with signed_file(path, "a.b.c\n"):
        assert path.read_text() == "a.b.c\n"
    assert path.read_text() == "a.b.c\n"
    assert path.stat().st_mode & 0o777 == 0o644
    with signed_file(None, "a.b.c"):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_a_refused_act_takes_its_file_along_and_one_unknown_leaves_it(tmp_path) -> None:
    path = tmp_path / "d.jws"
    with pytest.raises(ConflictError), signed_file(path, "a.b.c"):
        raise ConflictError("CONFLICT", "not the next one")
    assert not path.exists()
    with pytest.raises(UnavailableError), signed_file(path, "a.b.c"):
        raise UnavailableError("AUDIT_UNAVAILABLE", "the log may or may not hold it")
    assert path.read_text() == "a.b.c\n"


def test_what_stands_there_stays_as_it_is_and_nothing_is_done(tmp_path) -> None:
    path = tmp_path / "private.key"
    path.write_text("a key")
    done = []
    with pytest.raises(KeyFileError) as caught, signed_file(path, "a.b.c"):
        done.append("the act")
    assert caught.value.code == "FILE_EXISTS"
    assert (path.read_text(), done) == ("a key", [])
    with pytest.raises(KeyFileError):
        write_signed(path, "a.b.c")


def test_no_licence_is_in_force_whose_document_could_not_be_kept(
    xinguan,
    description,  # noqa: F811 - the fixture
    tmp_path,
) -> None:
    issue = ("licence", "issue", description, "--out")
    kept = tmp_path / "kept"
    kept.write_text("a key")
    assert xinguan.refuse(*issue, kept) == "FILE_EXISTS"
    assert kept.read_text() == "a key"
    with pytest.raises((OSError, SystemExit)):
        main([str(word) for word in (*issue, tmp_path / "nodir/l.jws")])
    assert xinguan.do("licence", "list") == []
    assert xinguan.do(*issue, tmp_path / "l.jws")["serial"] == 1
    again = ("licence", "issue", "--document", tmp_path / "l.jws", "--out", tmp_path / "again")
    assert xinguan.refuse(*again) == "CONFLICT"
    assert not (tmp_path / "again").exists()


def test_no_terms_are_in_effect_whose_document_could_not_be_kept(
    xinguan,
    keys,  # noqa: F811 - the fixture
    write,  # noqa: F811 - the fixture
    tmp_path,
) -> None:
    enact = ("recognition", "terms", "enact", write(TERMS), "--out")
    kept = keys["AUTHORITY"]
    before = kept.read_bytes()
    assert xinguan.refuse(*enact, kept) == "FILE_EXISTS"
    assert kept.read_bytes() == before
    with pytest.raises((OSError, SystemExit)):
        main([str(word) for word in (*enact, tmp_path / "nodir/t.jws")])
    assert xinguan.do("recognition", "terms", "list") == []
    assert xinguan.do(*enact, tmp_path / "t.jws")["version"] == 1


def test_documents_that_are_only_signed_overwrite_nothing_either(
    xinguan,
    described,  # noqa: F811 - the fixture
    tmp_path,
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("a key")
    assert xinguan.refuse("inbound", "issuer", "sign", described, "--out", kept) == "FILE_EXISTS"
    xinguan.do("party", "add", uscc(1), "--name", "x", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "key", "issue", uscc(1), "--out", tmp_path)
    key, public = ("party", "encryption-key"), tmp_path / "public.jwk"
    xinguan.do(*key, "make", "--out", tmp_path / "private.jwk", "--public", public)
    sign = (*key, "sign", uscc(1), public, "--key", tmp_path / "document.key", "--out", kept)
    assert xinguan.refuse(*sign) == "FILE_EXISTS"
    assert kept.read_text() == "a key"
