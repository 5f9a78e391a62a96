-- batch_due: which batches are to be looked at. Each is put off, so that nobody else looks meanwhile.
--
-- KEYS: open batches
-- ARGV: milliseconds until the next look, most batches to return
-- Returns: {milliseconds until the next one is due, at most those given, their ids ...}

-- include basics
local moment = milliseconds()
local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", moment, "LIMIT", 0, ARGV[2])
for _, batch_id in ipairs(due) do
    redis.call("ZADD", KEYS[1], moment + ARGV[1], batch_id)
end
local first = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")
local left = first[2] and first[2] - moment or ARGV[1]
return {math.max(0, math.min(left, ARGV[1])), unpack(due)}
