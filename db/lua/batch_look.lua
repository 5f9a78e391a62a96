-- batch_look: an open batch is to be looked at so soon, unless that is due sooner.
--
-- KEYS: open batches
-- ARGV: batch id, milliseconds from now
-- Returns: 1, or 0 where nothing has changed

-- include basics
return redis.call("ZADD", KEYS[1], "XX", "LT", "CH", milliseconds() + ARGV[2], ARGV[1])
