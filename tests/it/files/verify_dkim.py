"""Verifies the DKIM signature of the message on standard input against the DNS
record given as the only argument: prints what was signed, status 1 if it is wrong."""

import sys

import dkim

message = sys.stdin.buffer.read()
record = sys.argv[1].encode()
verifier = dkim.DKIM(message, minkey=1024)
if not verifier.verify(dnsfunc=lambda name, timeout=5: record):
    sys.exit("the signature is wrong")
print(" ".join(name.decode().lower() for name, _ in verifier.signed_headers))
