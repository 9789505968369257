import pytest

from projections.delivery.addresses import is_allowed, url_fault

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1"),
    *("127.255.255.254", "::1", "fc00::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("192.88.99.1", "::", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "2001::1"),
    *("2001:db8::1", "2002:7f00:1::", "3fff::1", "::7f00:1", "100::1", "64:ff9b:1::1"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::ffff:0:0", "not an address", ""),
]


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_called_over_tls(address: str, allow_private: bool) -> None:
    assert is_allowed(address, allow_private=allow_private, secure=True)
    assert not is_allowed(address, allow_private=allow_private, secure=False)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_called_only_where_allowed(address: str, secure: bool) -> None:
    assert not is_allowed(address, allow_private=False, secure=secure)
    assert is_allowed(address, allow_private=True, secure=secure)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("address", NEVER)
def test_other_addresses_are_never_called(address: str, secure: bool) -> None:
    assert not is_allowed(address, allow_private=False, secure=secure)
    assert not is_allowed(address, allow_private=True, secure=secure)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "https://example.com:8443/a?b=c%20d", "https://[2606:2800:220:1::1]/"],
)
def test_urls_that_are_fine(url: str) -> None:
    assert url_fault(url, allow_private=False) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://example.com", "https"),
        ("ftp://example.com", "https"),
        ("https:///path", "no host"),
        ("https://user:secret@example.com/", "user"),
        ("https://user@example.com/", "user"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com:22/", "port"),
        ("https://example.com:0/", "no host"),
        ("https://example.com:99999/", "not a URL"),
        ("https://127.0.0.1/", "not allowed"),
        ("https://[::ffff:10.0.0.1]/", "not allowed"),
        ("https://169.254.169.254/", "not allowed"),
        ("https://example.com/a b", "ASCII"),
        ("https://exämple.com/", "ASCII"),
        ("https://example.com\\@evil.com/", "ASCII"),
        ("https://example.com/\n", "ASCII"),
        ("", "https"),
    ],
)
def test_urls_that_are_refused(url: str, fault: str) -> None:
    found = url_fault(url, allow_private=False)
    assert found is not None
    assert fault in found


def test_private_urls_are_fine_where_allowed() -> None:
    assert url_fault("http://127.0.0.1:80/", allow_private=True) is None
    assert url_fault("http://169.254.169.254/", allow_private=True) is not None
    assert url_fault("http://8.8.8.8/", allow_private=True) is not None
    assert url_fault("https://8.8.8.8/", allow_private=True) is None
