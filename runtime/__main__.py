"""`python -m face_encryption.runtime` is the command line."""

from .cli import main

main(prog_name="face-encryption")
