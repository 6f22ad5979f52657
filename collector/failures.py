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


_TYPE_MISMATCH = 53
_MEMORY_LIMIT_EXCEEDED = 241
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
    _MEMORY_LIMIT_EXCEEDED: "ProtobufRowInputFormat",  # MEMORY_LIMIT_EXCEEDED: a length of terabytes, or too little memory
    436: "ProtobufRowInputFormat",  # PROTOBUF_BAD_CAST
    444: "",  # UNKNOWN_PROTOBUF_FORMAT
}
# What a view may say of a value, when it has read it.
_FROM_VIEWS = frozenset({
    6,  # CANNOT_PARSE_TEXT
    25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
    26,  # CANNOT_PARSE_QUOTED_STRING
    38,  # CANNOT_PARSE_DATE
    41,  # CANNOT_PARSE_DATETIME
    _TYPE_MISMATCH,
    69,  # ARGUMENT_OUT_OF_BOUND
    70,  # CANNOT_CONVERT_TYPE
    72,  # CANNOT_PARSE_NUMBER
    128,  # TOO_LARGE_ARRAY_SIZE
    153,  # ILLEGAL_DIVISION
    190,  # SIZES_OF_ARRAYS_DONT_MATCH
    321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    376,  # CANNOT_PARSE_UUID
    395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
    407,  # DECIMAL_OVERFLOW
    467,  # CANNOT_PARSE_BOOL
    469,  # VIOLATED_CONSTRAINT
    632,  # UNEXPECTED_DATA_AFTER_PARSED_VALUE
    675,  # CANNOT_PARSE_IPV4
    676,  # CANNOT_PARSE_IPV6
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


def blames_data(error: StoreError) -> bool:
    """Whether ClickHouse has read the data and says that something in it is wrong. Not so where there is no answer, where it is
    short of something, or where an operator has to act."""
    is_bad_data = classify(error) is Failure.BAD_DATA and error.code != _MEMORY_LIMIT_EXCEEDED
    return is_bad_data or error.code in _FROM_VIEWS


def may_depend_on_data(error: StoreError) -> bool:
    """Whether another batch might be taken where this one is not: not where ClickHouse gives a reason that has to do with its
    tables or with itself."""
    return not error.code or error.code == _MEMORY_LIMIT_EXCEEDED or blames_data(error)
