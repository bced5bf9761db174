"""
Which addresses may be called that a client has chosen: public ones, and others if it is allowed.

An address of a private network could be one of the gateway's own servers, or the metadata service
of its cloud.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from msgspec import Struct

NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses whose last 32 bits are an IPv4 address: RFC 6052."""


class AddressRules(Struct, frozen=True):
    """Whether addresses of private networks, and those of this machine, are allowed."""

    private: bool = False
    loopback: bool = False

    def allows(self, address: str) -> bool:
        """Whether a request may be sent to this IP address."""
        ip = _inner(ip_address(address))
        if ip.is_loopback:
            return self.loopback
        return self.private or (ip.is_global and not ip.is_multicast)

    def allows_name(self, host: str) -> bool:
        """Whether a host may be allowed: a name is checked again once it is resolved."""
        try:
            return self.allows(host)
        except ValueError:
            return True

    @staticmethod
    def is_loopback(host: str) -> bool:
        """Whether the host is an IP address of this machine."""
        try:
            return _inner(ip_address(host)).is_loopback
        except ValueError:
            return False


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address to which packets to an IPv6 address are passed on, if there is one."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    teredo = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo or ip
