"""Which addresses processes listen on."""

import ipaddress

import psutil


def tree_of(process: psutil.Process) -> list[psutil.Process]:
    """A process with all its descendants."""
    return [process, *process.children(recursive=True)]


def listening(process: psutil.Process) -> list[str]:
    """The addresses that a process listens on; none once it has ended."""
    try:
        connections = process.net_connections(kind="inet")
    except psutil.NoSuchProcess:
        return []
    return [connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN]


def is_loopback(address: str) -> bool:
    found = ipaddress.ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback
