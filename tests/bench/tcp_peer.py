#!/usr/bin/env python3
"""The server behind the proxies of the `egress` part: `tcp_peer.py ADDRESS PORT`. A request is one letter and eight
digits-and-letters of hexadecimal: U n = takes n bytes and answers one, D n = sends n bytes, E 0 = answers one byte. The
client's half is here as well."""

import socket
import sys
import threading

BLOCK = bytes(1 << 20)
SINK = bytearray(1 << 20)


def send_bytes(connection, count):
    view = memoryview(BLOCK)
    while count > 0:
        part = view[:min(count, len(view))]
        connection.sendall(part)
        count -= len(part)


def drop_bytes(connection, count):
    """Reads without copying: the receiver must not be what limits a proxy."""
    while count > 0:
        got = connection.recv_into(SINK, min(count, len(SINK)), socket.MSG_TRUNC)
        if not got:
            raise ConnectionError("the stream broke off")
        count -= got


def ask(connection, what, count=0):
    connection.sendall(b"%s%08x" % (what, count))
    if what == b"U":
        send_bytes(connection, count)
    if what == b"D":
        drop_bytes(connection, count)
    elif not connection.recv(1):
        raise ConnectionError("no answer")


def serve(connection):
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = connection.recv(9, socket.MSG_WAITALL)
        if len(request) < 9:
            return
        count = int(request[1:], 16)
        if request[:1] == b"D":
            return send_bytes(connection, count)
        drop_bytes(connection, count)
        connection.sendall(b".")


def main():
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=1024)
    print("ready", flush=True)
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main()
