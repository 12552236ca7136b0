"""A server started by a command, `python command.py FAULT PORT`, that goes wrong as it is told."""

import os
import socket
import sys
import time

fault, port = sys.argv[1], int(sys.argv[2])
if fault == "exits":
    sys.exit("ValueError: nothing to serve")
if fault == "worker" and not os.fork():
    raise ValueError("nothing to import")
if fault == "worker":
    time.sleep(1000)
listener = socket.create_server(("127.0.0.1", 0 if fault == "other-port" else port))
if fault == "daemon" and os.fork():
    sys.exit(0)
time.sleep(1000)
