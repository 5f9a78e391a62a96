-- batch_due: which batches are to be looked at. Each is put off, so that nobody else looks meanwhile.
--
-- KEYS: open batches
-- ARGV: milliseconds until the next look, most batches to return
-- Returns: their ids

-- include basics
local moment = milliseconds()
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", moment, "LIMIT", 0, ARGV[2])
for _, batch_id in ipairs(due) do
    redis.call("ZADD", KEYS[1], moment + ARGV[1], batch_id)
end
return due
