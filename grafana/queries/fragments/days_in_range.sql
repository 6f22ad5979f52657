day >= toDate($__fromTime) AND day <= toDate($__toTime)
