#!/usr/bin/env python3
"""TLS in front of a plain server, on loopback.

    tls_front.py PORT CERT KEY TARGET_PORT
"""
import socket
import ssl
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(plain, context, target):
    try:
        front = context.wrap_socket(plain, server_side=True)
        back = socket.create_connection(("127.0.0.1", target))
    except OSError:
        plain.close()
        return
    other = threading.Thread(target=pump, args=(back, front))
    other.start()
    pump(front, back)
    other.join()
    front.close()
    back.close()


port, cert, key, target = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(cert, key)
listener = socket.create_server(("127.0.0.1", port))
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client, tls, target), daemon=True).start()
