-- The letters of a batch's items, see db/batches/live.py.

-- Those of what has not ended.
local NOT_ENDED = "[%zpqnw]"
