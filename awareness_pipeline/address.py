"""Addresses of APIs that people set: what a root must be, and where its redirects may lead."""

from ipaddress import ip_address

import httpx


def api_root(text: str) -> httpx.URL | None:
    """Return the root of an API; None for what cannot be one, such as a URL with a user in it."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return None
    sound = url.scheme in ("http", "https") and url.host and not url.userinfo and not url.query
    return url if sound else None


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Whether two URLs have scheme, host and port in common."""
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
