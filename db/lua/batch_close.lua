-- batch_close: a batch has ended, unless one of its chains has been resumed since it was read, or Redis emptied.
--
-- KEYS: batch, its items, open batches, batches with chunks to release, marks of messages (without their ids)
-- ARGV: batch id, moment of its end, seconds that it stays readable, seconds that a mark stays, then the ids
--       of the messages that go out with it and get a mark
-- Returns: {"recorded", "next"}, {"repeated"} its end was noted before, {"open"} it has not ended or is not on
--          the board

-- include letters
if redis.call("EXISTS", KEYS[1]) == 0 or (redis.call("GET", KEYS[2]) or ""):find(NOT_ENDED) then
    return {"open"}
end
local first = redis.call("HSETNX", KEYS[1], "finished", ARGV[2]) == 1
redis.call("EXPIRE", KEYS[1], ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("HDEL", KEYS[4], ARGV[1])
if not first then
    return {"repeated"}
end
for at = 5, #ARGV do
    redis.call("SET", KEYS[5] .. ARGV[at], 1, "EX", ARGV[4])
end
return {"recorded", "next"}
