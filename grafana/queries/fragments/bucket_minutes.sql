-- Minutes that the bucket starting at `time` covers: the last one ends with the range.
(least($__interval_s, dateDiff('second', time, toStartOfMinute($__toTime)) + 60) / 60)
