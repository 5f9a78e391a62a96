-- batch_close: a batch has ended, unless one of its chains has been resumed since it was read.
--
-- KEYS: batch, its items, open batches, batches with chunks to release
-- ARGV: batch id, now, seconds that it stays readable
-- Returns: 1, or 0 when it has not ended

if (redis.call("GET", KEYS[2]) or ""):find("[%zpqnw]") then
    return 0
end
redis.call("HSETNX", KEYS[1], "finished", ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("HDEL", KEYS[4], ARGV[1])
return 1
