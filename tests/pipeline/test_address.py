"""Addresses of APIs: what can be a root, what is one origin, what is this machine."""

import httpx
import pytest

from awareness_pipeline.address import api_root, is_loopback, same_origin


@pytest.mark.parametrize(
    "text", ["https://api.github.com", "http://h:8000/v1", "https://h/api/v3/", "http://[::1]:80/x"]
)
def test_a_root_is_used_as_it_stands(text: str) -> None:
    assert str(api_root(text)) == str(httpx.URL(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h/v1",
        "api.github.com",
        "ftp://h/x",
        "https://",
        "https://me:pass@h/api",
        "https://me@h/api",
        "https://h/?a=b",
        "https://h:x/",
    ],
)
def test_what_cannot_be_a_root_is_none(text: str) -> None:
    assert api_root(text) is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://h/elsewhere?a=b", True),
        ("https://H:443/", True),
        ("http://h/", False),
        ("https://h:444/", False),
        ("https://h.example.org/", False),
        ("https://example.org/h", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(other: str, same: bool) -> None:
    assert same_origin(httpx.URL("https://h/api"), httpx.URL(other)) is same


def test_this_machine_is_known_by_all_its_names() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("api.github.com", "127.0.0.1.example.org", "10.0.0.1")))
