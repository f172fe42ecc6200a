"""What can go wrong with the files of a run.

StorageError
|-- StorageFull   no room; nothing of the call was stored, repeat the same call when there is room
|-- RunLocked     another process writes this run
`-- SchemaError   the journal is of another version, or its plan is not the one that was frozen
"""

__all__ = ["RunLocked", "SchemaError", "StorageError", "StorageFull"]


class StorageError(Exception):
    """A file of the run could not be written or read as it should."""


class StorageFull(StorageError):  # noqa: N818 - the field's word
    """The disk is full; nothing of the call was stored and the same call may be repeated."""


class RunLocked(StorageError):  # noqa: N818 - the field's word
    """Another process holds the right to write this run."""


class SchemaError(StorageError):
    """The journal can't be read, or not be continued, by this version of the program."""
