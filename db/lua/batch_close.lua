-- batch_close: a batch has ended, unless one of its chains has been resumed since it was read, or Redis emptied.
--
-- KEYS: batch, its items, open batches, batches with chunks to release
-- ARGV: batch id, moment of its end, seconds that it stays readable
-- Returns: 1, or 0 when it has not ended or is not on the board

if redis.call("EXISTS", KEYS[1]) == 0 or (redis.call("GET", KEYS[2]) or ""):find("[%zpqnw]") then
    return 0
end
redis.call("HSETNX", KEYS[1], "finished", ARGV[2])
redis.call("EXPIRE", KEYS[1], ARGV[3])
redis.call("EXPIRE", KEYS[2], ARGV[3])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("HDEL", KEYS[4], ARGV[1])
return 1
