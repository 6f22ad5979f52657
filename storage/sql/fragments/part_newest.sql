-- Of a row's part the number of its newest insert, out of the part's name: partition_min_max_level. Parts are left out by it before
-- anything is read. system.parts is looked at in another moment than the table: between the two a merge may rename them all.
toUInt64OrZero(splitByChar('_', _part)[3])
