"""Where a webhook may go: which URLs, which addresses. Pure.

A subscription's URL is a customer's: without a policy it reaches whatever the dispatcher can reach
(server-side request forgery). Addresses are judged one by one as they are connected to, so a name
that resolves to something else a moment later changes nothing.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from yarl import URL

HTTPS_PORT: Final = 443
_FIRST_UNPRIVILEGED: Final = 1024
"""Below it live mail, shells and the like: nothing there waits for webhooks."""
_NAT64: Final = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_NOT_ROUTED: Final = (
    IPv6Network("2001::/23"),  # of protocols, Teredo among them
    IPv6Network("2001:db8::/32"),
    IPv6Network("2002::/16"),  # 6to4: an IPv4 address in disguise
    IPv6Network("3fff::/20"),
)
_NOT_PUBLIC: Final = tuple(
    IPv4Network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
    )
)
"""IANA's special-purpose registry and multicast; written out, for Python's `is_global` differs from
version to version."""
_PRIVATE: Final = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv6Network("fc00::/7"),
    IPv6Network("::1/128"),
)
"""What `allow_private` allows. Link-local is not in it: clouds tell their secrets there."""


def is_allowed(address: str, *, allow_private: bool, secure: bool) -> bool:
    """Whether to connect to this address: public ones over TLS, private ones only where allowed."""
    try:
        found = _plain(ip_address(address))
    except ValueError:
        return False
    if any(found in network for network in _PRIVATE):
        return allow_private
    if not secure:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in _NOT_PUBLIC)
    return found in _GLOBAL_UNICAST and not any(found in network for network in _NOT_ROUTED)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for (IPv4-mapped, NAT64), or the address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def url_fault(url: str, *, allow_private: bool) -> str | None:
    """Why no webhook may go there, None for a URL that is fine as far as it can be seen."""
    if not url.isascii() or not url.isprintable() or any(each in url for each in ' \\"<>'):
        return "expected printable ASCII without spaces (names: punycode; paths: %-escapes)"
    try:
        parsed = URL(url)
        host, port = parsed.host or "", parsed.port or 0
    except ValueError as error:
        return f"not a URL: {error}"
    secure = parsed.scheme == "https"
    fitting = secure or (allow_private and parsed.scheme == "http")
    usual = allow_private or port == HTTPS_PORT or port >= _FIRST_UNPRIVILEGED
    faults = (
        (not fitting, "expected https (http goes to private addresses only, where allowed)"),
        (not host or not port, "it names no host"),
        ("@" in parsed.raw_authority, "a user or password in it would be logged"),
        ("#" in url, "a fragment is never sent"),
        (not usual, f"expected port {HTTPS_PORT} or one from {_FIRST_UNPRIVILEGED} up"),
        (
            _is_literal(host) and not is_allowed(host, allow_private=allow_private, secure=secure),
            f"{host} is an address that is not allowed",
        ),
    )
    return next((fault for wrong, fault in faults if wrong), None)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
