"""Passwords and tokens in URLs are left out of what is written, and put back where a server is asked."""

import pytest

from audiotok.data.reading.files import Files
from audiotok.data.reading.passwords import conceal, hide, reveal
from audiotok.errors import UserError

URLS = {
    "https://me:p@ss-w0rd@host:8/sounds": "https://me:***@host:8/sounds",
    "sftp://me:secret@host/sounds": "sftp://me:***@host/sounds",
    "https://ghp_token@host/sounds": "https://***@host/sounds",
    "https://host/x?version=2&token=abc": "https://host/x?version=2&token=***",
    "https://me:pw@host/x?X-Amz-Signature=ab%2Fc&a=1": "https://me:***@host/x?X-Amz-Signature=***&a=1",
}
OPEN = ["s3://bucket/me@home", "ssh://me@host/x", "/data/a:b@c", "hf://datasets/a/b", "https://h/x?a=1", ""]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Let no test know the passwords of another one."""
    monkeypatch.setenv("AUDIOTOK_URL_PASSWORDS", "{}")


@pytest.mark.parametrize("url", URLS)
def test_passwords_become_stars_and_are_put_back_here_alone(url, monkeypatch):
    assert conceal(f"data.root='{url}'") == f"data.root='{URLS[url]}'"
    assert conceal(URLS[url]) == URLS[url]
    assert reveal(URLS[url]) == url
    assert hide(f"{url}/a.wav is not there") == f"{URLS[url]}/a.wav is not there"
    monkeypatch.setenv("AUDIOTOK_URL_PASSWORDS", "{}")
    with pytest.raises(UserError, match=r"^data\.root=.* lacks its password, .*; give the whole URL again"):
        reveal(URLS[url])


@pytest.mark.parametrize("text", OPEN)
def test_what_is_no_password_stays(text):
    assert conceal(text) == text == reveal(text)


def test_two_servers_in_a_sweep_have_passwords_of_their_own():
    pair = "https://me:one@a/x,https://me:two@b/x"
    assert conceal(pair) == "https://me:***@a/x,https://me:***@b/x"
    assert [reveal(url) for url in conceal(pair).split(",")] == pair.split(",")


def test_an_error_of_a_server_does_not_tell_the_password(monkeypatch):
    url = conceal("memory://me:secret@nowhere/x")
    asked = []

    def refuse(whole):
        asked.append(whole)
        raise ValueError(f"{whole} is refused")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(UserError, match=r"me:\*\*\*@nowhere/x/a\.wav is refused") as error:
        Files().read(f"{url}/a.wav")
    assert asked == ["memory://me:secret@nowhere/x/a.wav"]
    assert "secret" not in str(error.value)
