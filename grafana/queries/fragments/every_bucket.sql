-- Buckets without calls become rows, so that no line is drawn across a silence.
WITH FILL
        FROM toStartOfInterval($__fromTime, INTERVAL $__interval_s second)
        TO toStartOfMinute($__toTime)
        STEP $__interval_s
