"""Which web addresses may be connected to: for webhooks and init media alike. Pure.

Whoever writes a URL into a resource lets a process in the cluster connect to it, so what is not the
public internet is refused, however it is spelt. The name is resolved once, every address is
checked, and the connection goes to a checked one.
"""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from t2v_api.base import ContractModel

PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
NOT_PUBLIC = tuple(
    map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))
)
"""Protocol assignments, old relays, metadata of clouds: Python calls them global."""
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

HOST = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(ValueError):
    """The URL leads, or may lead, where it must not; says why, without its secrets."""


class AllowedAddresses(ContractModel):
    """What may be connected to besides the public internet."""

    hosts: tuple[Annotated[str, Field(pattern=HOST, max_length=253)], ...] = ()
    """Names, wherever they lead: `media.example.internal`, `*.example.internal`."""
    ranges: tuple[str, ...] = ()
    """Addresses in CIDR notation: `10.20.0.0/16`."""
    refused: tuple[str, ...] = ()
    """Public ones that are not to be reached, such as a cluster's own. They go before the rest."""

    @field_validator("ranges", "refused")
    @classmethod
    def _ranges_are_networks(cls, ranges: tuple[str, ...]) -> tuple[str, ...]:
        for each in ranges:
            ipaddress.ip_network(each)
        return ranges

    def names(self, host: str) -> bool:
        """Whether the host is allowed by its name."""
        host = host.lower().rstrip(".")
        return any(
            host.endswith(each[1:].lower()) if each.startswith("*.") else host == each.lower()
            for each in self.hosts
        )

    def has(self, address: str) -> bool:
        """Whether one may connect to this address."""
        if _is_in(address, self.refused):
            return False
        return is_public(address) or _is_in(address, self.ranges)


@dataclass(frozen=True)
class WebAddress:
    """A URL, taken apart as it is used."""

    scheme: str
    host: str
    """In ASCII, without brackets."""
    port: int
    path: str
    """Path and query, as they stand in the request line."""
    shown: str
    """For messages: without user, password and query, which may be secrets."""

    def checked(self, addresses: Sequence[str], allowed: AllowedAddresses) -> Sequence[str]:
        """`addresses` of the host, if all of them may be connected to. Raises AddressRefused."""
        if allowed.names(self.host):
            return addresses
        for address in addresses:
            if not allowed.has(address):
                raise AddressRefused(
                    f"{self.shown}: {self.host} is {address}, which is not an address of the "
                    "public internet; use a public host, or have it allowed in the operator's "
                    "configuration"
                )
        return addresses


def read_web_address(url: str) -> WebAddress:
    """Take a URL apart. Raises AddressRefused where it is none, or carries a user."""
    if any(character.isspace() or not character.isprintable() for character in url):
        raise AddressRefused("the URL has a space or an unprintable character in it")
    try:
        parts = urlsplit(url)
        host = _ascii(parts.hostname or "")
        port = PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError:
        raise AddressRefused("the URL's host or port cannot be read") from None
    shown = f"{parts.scheme}://{host}{parts.path}"
    if parts.scheme not in PORTS:
        raise AddressRefused(f"{shown}: only http and https URLs can be fetched")
    if not host or "\\" in parts.netloc or _is_half_an_address(host):
        raise AddressRefused(f"{shown}: the URL names no host")
    if port == 0:
        raise AddressRefused(f"{shown}: port 0 is none")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused(f"{shown}: carries a user or password; use a presigned URL")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?[]") if parts.query else ""
    return WebAddress(parts.scheme, host, port, path + query, shown)


def check_literal(url: str, allowed: AllowedAddresses) -> WebAddress:
    """As far as it can be known without a resolver: whether the URL's host is an address, and
    which. Raises AddressRefused.
    """
    address = read_web_address(url)
    literal = literal_address(address.host)
    if literal is not None:
        address.checked([literal], allowed)
    elif _is_own(address.host):
        address.checked(["127.0.0.1"], allowed)
    return address


def literal_address(host: str) -> str | None:
    """The address that the host is, in whatever spelling; None where it is a name.

    What the C library takes for an address, such as 0x7f.1 or 2130706433, is one.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None


def is_public(address: str) -> bool:
    """Whether `address` belongs to the public internet, also when it wraps an IPv4 address."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        wrapped = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in NAT64:
            wrapped = ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)
        if wrapped:
            return is_public(str(wrapped))
        if parsed not in GLOBAL_UNICAST:
            return False
    if any(parsed in network for network in NOT_PUBLIC):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _is_in(address: str, ranges: Sequence[str]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed in ipaddress.ip_network(each) for each in ranges)


def _is_half_an_address(host: str) -> bool:
    """Digits and dots that are no address: some take them for one, others for a name."""
    return host.replace(".", "").isdigit() and literal_address(host) is None


def _ascii(host: str) -> str:
    """As resolvers take it: letters and digits of any width become ASCII."""
    return host.encode("idna").decode()


def _is_own(host: str) -> bool:
    host = host.lower().rstrip(".")
    return host == "localhost" or host.endswith(".localhost")
