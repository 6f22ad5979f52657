-- The first bucket is read whole, from before the range if need be, so that its rate is right.
minute >= toStartOfInterval($__fromTime, INTERVAL $__interval_s second) AND minute <= $__toTime
