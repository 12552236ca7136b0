"""How long connections have been silent (sock_diag), and how many were opened."""

import contextlib
import socket
import struct
from collections.abc import Iterator

import psutil

from micropie_benchlib.system.processes import descriptor_links, search_file

# The kernel tells of each connection when it last received anything (sock_diag(7)).
SOCK_DIAG_BY_FAMILY = 20
DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
NETLINK_ENDS = (2, 3)  # NLMSG_ERROR, NLMSG_DONE
WITH_TCP_INFO = 1 << 1  # 1 << (INET_DIAG_INFO - 1)
INET_DIAG_INFO = 2
ESTABLISHED = 1
NETLINK_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
DIAG_REQUEST = struct.Struct("=BBBBI")  # family, protocol, extensions, padding, states
DIAG_ADDRESSES = struct.Struct("!HH16s16sIQ")  # ports, addresses, interface, cookie
DIAG_INODE_OFFSET = 68  # in struct inet_diag_msg, which has 72 bytes
DIAG_MESSAGE_BYTES = 72
ATTRIBUTE_HEADER = struct.Struct("=HH")  # length, type
LAST_RECEIVED_OFFSET = 52  # of tcpi_last_data_recv in struct tcp_info, in milliseconds


def netlink_messages(request: bytes) -> Iterator[bytes]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as kernel:  # NETLINK_SOCK_DIAG
        kernel.settimeout(1)
        kernel.send(request)
        while True:
            data = kernel.recv(2**18)
            while data:
                length, kind, *_ = NETLINK_HEADER.unpack_from(data)
                if kind in NETLINK_ENDS:
                    return
                yield data[NETLINK_HEADER.size : length]
                data = data[(length + 3) & ~3 :]  # whole words


def last_received_s(message: bytes) -> float | None:
    position = DIAG_MESSAGE_BYTES
    while position + ATTRIBUTE_HEADER.size <= len(message):
        length, kind = ATTRIBUTE_HEADER.unpack_from(message, position)
        if kind == INET_DIAG_INFO:
            offset = position + ATTRIBUTE_HEADER.size + LAST_RECEIVED_OFFSET
            (milliseconds,) = struct.unpack_from("=I", message, offset)
            return float(milliseconds) / 1000
        position += max((length + 3) & ~3, ATTRIBUTE_HEADER.size)
    return None


def connection_silences_s(process: psutil.Process, port: int) -> list[float]:
    """Of each connection to the port; empty where the system does not tell."""
    if not hasattr(socket, "AF_NETLINK"):
        return []
    links = set(descriptor_links(process).values())
    silences = []
    addresses = DIAG_ADDRESSES.pack(0, port, b"", b"", 0, 2**64 - 1)
    for family in (socket.AF_INET, socket.AF_INET6):
        body = DIAG_REQUEST.pack(family, socket.IPPROTO_TCP, WITH_TCP_INFO, 0, 1 << ESTABLISHED)
        length = NETLINK_HEADER.size + len(body) + len(addresses)
        header = NETLINK_HEADER.pack(length, SOCK_DIAG_BY_FAMILY, DUMP_REQUEST, 1, 0)
        with contextlib.suppress(OSError, struct.error):
            for message in netlink_messages(header + body + addresses):
                (inode,) = struct.unpack_from("=I", message, DIAG_INODE_OFFSET)
                seconds = last_received_s(message)
                if seconds is not None and f"socket:[{inode}]" in links:
                    silences.append(seconds)
    return silences


def opened_connections() -> int | None:
    names = search_file("/proc/net/snmp", r"^Tcp: (Rto.*)$")
    values = search_file("/proc/net/snmp", r"^Tcp: (\d.*)$")
    if not names or not values:
        return None
    return int(dict(zip(names.split(), values.split(), strict=False)).get("ActiveOpens", 0))
