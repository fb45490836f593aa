"""The page is served on the loopback interface; other places need a token that is kept well."""

from pathlib import Path

import pytest

from coterie.peer.cli.commands.start import page_option
from coterie.peer.errors import PeerError
from coterie.peer.home.page_address import PageAddress, check_page, page_place, read_token
from coterie.peer.home.settings import Settings, check_settings

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "place", "url"),
    [
        ("127.0.0.1:8650", PageAddress("127.0.0.1", 8650), "http://127.0.0.1:8650/"),
        ("8650", PageAddress("127.0.0.1", 8650), "http://127.0.0.1:8650/"),
        ("localhost:0", PageAddress("127.0.0.1", 0), "http://127.0.0.1:0/"),
        ("[::1]:8650", PageAddress("::1", 8650), "http://[::1]:8650/"),
        ("0.0.0.0:8650", PageAddress("0.0.0.0", 8650), "http://127.0.0.1:8650/"),
        ("[::]:8650", PageAddress("::", 8650), "http://[::1]:8650/"),
    ],
)
def test_a_place_is_an_address_and_a_port(text: str, place: PageAddress, url: str) -> None:
    assert (page_place(text), page_place(text).url) == (place, url)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("peer.example.org:8650", "one of this machine's IP addresses"),
        (":8650", "one of this machine's IP addresses"),
        ("127.0.0.1", "a port"),
        ("127.0.0.1:99999", "a number from 1 to 65535"),
        ("/ip4/127.0.0.1/tcp/8650", "such as 127.0.0.1:8650"),
        ("", "a port"),
    ],
)
def test_what_is_no_place_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(PeerError, match=told) as caught:
        page_place(text)
    assert str(caught.value).startswith("--page")


@pytest.mark.parametrize("text", ["0.0.0.0:8650", "[::]:8650", "192.0.2.1:8650"])
def test_other_interfaces_need_a_token(text: str) -> None:
    with pytest.raises(PeerError, match=r"--page-token-file FILE"):
        check_settings(Settings(page=text))
    check_page(text, "token")


def test_the_loopback_interface_needs_no_token() -> None:
    check_page("127.0.0.1:8650", None)
    check_page("[::1]:8650", None)


def test_a_token_without_a_page_is_refused() -> None:
    with pytest.raises(PeerError, match="only with --page"):
        check_page("", "token")


def test_off_takes_page_and_token_back() -> None:
    kept = Settings(page="0.0.0.0:8650", page_token_file="/token")
    assert kept.with_given({}) == kept
    assert kept.with_given({"page": page_option("off")}) == Settings()


def token_file(folder: Path, data: bytes, mode: int = 0o600) -> str:
    path = folder / "token"
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def test_a_token_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path, f" {TOKEN}\n".encode())) == TOKEN


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_token_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(PeerError, match="chmod 600"):
        read_token(token_file(tmp_path, TOKEN.encode(), mode))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"short\n", "20 to 1024 printable"),
        (b"", "20 to 1024 printable"),
        (b"two words that are long", "no spaces"),
        (b"x" * 2000, "20 to 1024 printable"),
        ("ä".encode() * 20, "ASCII"),
        (b"0123456789abcdef\n0123456789", "20 to 1024 printable"),
    ],
)
def test_a_token_that_is_none_is_refused(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(PeerError, match=told):
        read_token(token_file(tmp_path, data))


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PeerError, match=r"missing: cannot be read \(No such file"):
        read_token(str(tmp_path / "missing"))
