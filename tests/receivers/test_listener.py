from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from receivers.listener import ListenError, TlsFiles, join_address, open_socket, split_address, tls_files


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:4317", ("127.0.0.1", 4317)), ("localhost:0", ("localhost", 0)), ("[::1]:65535", ("::1", 65535))],
)
def test_an_address_is_host_and_port(listen: str, address: tuple[str, int]) -> None:
    assert split_address(listen, "s.listen") == address
    assert join_address(*address) == listen


@pytest.mark.parametrize(
    "listen", ["", "4317", ":4317", "localhost", "localhost:", "localhost:http", "localhost:65536"]
)
def test_any_other_text_is_refused(listen: str) -> None:
    with pytest.raises(ListenError, match=r"^s\.listen: .* is not 'host:port'"):
        split_address(listen, "s.listen")


def test_a_host_that_is_not_ours_names_the_setting() -> None:
    with pytest.raises(ListenError, match=r"^s\.listen: cannot listen on 192\.0\.2\.1:0: "):
        open_socket("192.0.2.1:0", "s.listen")


def test_a_name_that_does_not_resolve_names_the_setting() -> None:
    with pytest.raises(ListenError, match=r"^s\.listen: cannot use the address "):
        open_socket("no-such-host.invalid:0", "s.listen")


def test_tls_needs_both_files_or_none(tmp_path: Path) -> None:
    pem = tmp_path / "a.pem"
    trustme.CA().issue_cert("hub").private_key_and_cert_chain_pem.write_to_path(pem)
    assert tls_files("", "", "s") is None
    assert tls_files(str(pem), str(pem), "s") == TlsFiles(str(pem), str(pem))
    with pytest.raises(ListenError, match=r"s\.tls_key_file is not set"):
        tls_files(str(pem), "", "s")
    with pytest.raises(ListenError, match=r"s\.tls_cert_file is not set"):
        tls_files("", str(pem), "s")


def test_a_tls_file_that_cannot_be_read_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match=r"^s\.tls_cert_file: cannot read .*: No such file or directory"):
        tls_files(str(tmp_path / "none"), str(tmp_path / "none"), "s")


def test_files_that_are_no_certificate_name_their_settings(tmp_path: Path) -> None:
    junk = tmp_path / "a.pem"
    junk.write_text("pem")
    with pytest.raises(ListenError, match=r"^s\.tls_cert_file and tls_key_file: .*a\.pem are no certificate in PEM"):
        tls_files(str(junk), str(junk), "s")
