minute >= toStartOfMinute($__fromTime) AND minute <= $__toTime
