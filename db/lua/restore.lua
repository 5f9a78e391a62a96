-- restore: a chain that the board has forgotten is written back from the ledger.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, status ttl, ttl of the live hash (0 = none), status array (JSON), now, then field, value,
--       ...
-- Returns: {"recorded"}, or {"repeated"} when the chain is on the board

-- include transition
if redis.call("EXISTS", KEYS[1]) == 1 then
    return {"repeated"}
end
redis.call("HSET", KEYS[1], "array", ARGV[4])
for at = 6, #ARGV, 2 do
    redis.call("HSET", KEYS[1], ARGV[at], ARGV[at + 1])
end
if tonumber(ARGV[3]) > 0 then
    redis.call("EXPIRE", KEYS[1], ARGV[3])
else
    -- At once: nobody may have a message of it.
    redis.call("ZADD", KEYS[5], 0, ARGV[1])
end
redis.call("SET", KEYS[2], ARGV[4], "EX", ARGV[2])
local chain, of = read(cjson.decode(redis.call("HGET", live, "state")).current, 0)
if chain.keys then
    tell_readers(chain, of, ARGV[5], ARGV[2], ARGV[3])
end
return {"recorded"}
