#!/usr/bin/env python3
"""Connections that break: a TCP proxy in front of a server.

    cutting_proxy.py HOST PORT      listens on 127.0.0.1, prints its port, serves until standard
                                    input ends

While the file "cut" is in its directory, each connection is reset after some kilobytes of what
comes from HOST; in the middle of whatever that is, but behind the handshake of TLS. While "shut"
is there, new connections are reset at once. While "slow" is there, no more than 640 KiB of each
second reach HOST by one connection.
"""
import os
import random
import socket
import struct
import sys
import threading
import time

host, port = sys.argv[1], int(sys.argv[2])
BYTES = (10000, 60000)  # messages have up to 32 KiB: some go through, so that pauses between attempts stay short


def reset(*ends):
    for end in ends:
        try:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Who still receives from it holds it open otherwise.
            end.shutdown(socket.SHUT_RD)
        except OSError:
            pass
        end.close()


def send_on(client, server):
    try:
        while data := client.recv(65536):
            server.sendall(data)
            if os.path.exists("slow"):
                time.sleep(0.1)
        server.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def bring_back(server, client):
    """Until the server ends, which is True, or the bytes do that this connection has while it is cut."""
    left = None
    try:
        while True:
            data = server.recv(4096)
            if os.path.exists("cut"):
                left = (random.randint(*BYTES) if left is None else left) - len(data)
            else:
                left = None
            if left is not None and left <= 0:
                client.sendall(data[:left])
                return False
            if not data:
                # A reset would take back what has not left here yet.
                client.shutdown(socket.SHUT_WR)
                return True
            client.sendall(data)
    except OSError:
        return False


def serve(client):
    try:
        if os.path.exists("shut"):
            raise ConnectionRefusedError
        server = socket.create_connection((host, port))
    except OSError:
        reset(client)
        return
    threading.Thread(target=send_on, args=(client, server), daemon=True).start()
    reset(server, *([] if bring_back(server, client) else [client]))


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def accept(listener):
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
