"""The ways in which protecting a photo can fail, each with its own exit code.

Every message is one line that says what is wrong, where, and how to mend it. Usage errors are click's and exit with 2;
an interrupted command exits with 130.
"""

# What a batch exits with when it is done and a face of a protected photo is still a match: no failure, for the photo is
# written, but nobody should share it unaware.
STILL_A_MATCH = 8


class FaceEncryptionError(Exception):
    """Any failure that the user can mend; `exit_code` is what the command line exits with."""

    exit_code = 1


class PhotoError(FaceEncryptionError):
    """The photo cannot be read: not an image, damaged, or of a kind that is not supported."""

    exit_code = 3


class NoFaceError(FaceEncryptionError):
    """The photo was read and no face was found in it."""

    exit_code = 4


class ArtifactsError(FaceEncryptionError):
    """The exported graphs are missing, damaged, of another version, or do not belong together."""

    exit_code = 5


class SettingError(FaceEncryptionError):
    """A setting is out of range, or names a label or a face that does not exist."""

    exit_code = 6


class OutputError(FaceEncryptionError):
    """The result cannot be written, or would overwrite a file."""

    exit_code = 7
