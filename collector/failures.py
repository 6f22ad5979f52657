"""What an error of the store means for a batch: the one place that tells it."""

from __future__ import annotations

from enum import Enum

from storage.store import StoreError


class Failure(Enum):
    BAD_DATA = "bad data"
    """The bytes are wrong and always will be; their neighbours are not."""
    TRANSIENT = "transient"
    """It may pass by itself: no connection, no memory, too many parts, a disk that is full."""
    PERMANENT = "permanent"
    """It stays until an operator acts: a login, a grant, a table or a column that is missing."""


# https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
# Only these say that the bytes are wrong, some of them only with the text behind them: a oneof that is set twice, an
# array that ends early, a bool that is neither 0 nor 1.
_BAD_DATA = {
    27: "",  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32: "",  # ATTEMPT_TO_READ_AFTER_EOF
    33: "",  # CANNOT_READ_ALL_DATA
    36: "ProtobufRowInputFormat",  # BAD_ARGUMENTS
    49: "ProtobufRowInputFormat",  # LOGICAL_ERROR
    117: "",  # INCORRECT_DATA
    131: "",  # TOO_LARGE_STRING_SIZE
    241: "ProtobufRowInputFormat",  # MEMORY_LIMIT_EXCEEDED: a length of terabytes, or too little memory; see is_shortage
    436: "ProtobufRowInputFormat",  # PROTOBUF_BAD_CAST
    444: "",  # UNKNOWN_PROTOBUF_FORMAT
}
_TYPE_MISMATCH = 53
# What ClickHouse may say halfway through a commit, and not because of the data.
_SHORTAGES = frozenset({
    74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
    75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
    76,  # CANNOT_OPEN_FILE
    159,  # TIMEOUT_EXCEEDED
    173,  # CANNOT_ALLOCATE_MEMORY
    209,  # SOCKET_TIMEOUT
    210,  # NETWORK_ERROR
    236,  # ABORTED
    241,  # MEMORY_LIMIT_EXCEEDED
    242,  # TABLE_IS_READ_ONLY
    243,  # NOT_ENOUGH_SPACE
    252,  # TOO_MANY_PARTS
    319,  # UNKNOWN_STATUS_OF_INSERT
    394,  # QUERY_WAS_CANCELLED
    439,  # CANNOT_SCHEDULE_TASK
    499,  # S3_ERROR
    999,  # KEEPER_EXCEPTION
})  # fmt: skip
_PERMANENT = frozenset({
    16,  # NO_SUCH_COLUMN_IN_TABLE
    20,  # NUMBER_OF_COLUMNS_DOESNT_MATCH
    46,  # UNKNOWN_FUNCTION
    47,  # UNKNOWN_IDENTIFIER
    _TYPE_MISMATCH,
    60,  # UNKNOWN_TABLE
    62,  # SYNTAX_ERROR
    81,  # UNKNOWN_DATABASE
    115,  # UNKNOWN_SETTING
    164,  # READONLY
    192,  # UNKNOWN_USER
    193,  # WRONG_PASSWORD
    194,  # REQUIRED_PASSWORD
    291,  # DATABASE_ACCESS_DENIED
    497,  # ACCESS_DENIED
    516,  # AUTHENTICATION_FAILED
})  # fmt: skip


def classify(error: StoreError) -> Failure:
    if error.code in _BAD_DATA and _BAD_DATA[error.code] in error.message:
        return Failure.BAD_DATA
    return Failure.PERMANENT if error.code in _PERMANENT else Failure.TRANSIENT


def describe(error: StoreError) -> str:
    """`error` for the log. ClickHouse quotes the data that it chokes on, so its own words are for errors only that come
    before it looks at data, or from no ClickHouse."""
    if not error.code or (error.code in _PERMANENT and error.code != _TYPE_MISMATCH):
        return error.message
    return f"{error.name} (code {error.code})"


def is_shortage(error: StoreError) -> bool:
    """Whether ClickHouse has said no for want of time, memory, disk or network; of memory also where a length that is wrong
    has asked for terabytes."""
    return error.code in _SHORTAGES
