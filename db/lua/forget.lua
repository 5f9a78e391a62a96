-- forget: a chain goes off the board, unless it has moved since it was read.
--
-- KEYS: live hash, status array, message stream, open chains
-- ARGV: chain id, the chain's state as it was read ("" = there was none)
-- Returns: 1 when the chain is off the board, 0 when it has moved

if (redis.call("HGET", KEYS[1], "state") or "") ~= ARGV[2] then
    return 0
end
redis.call("UNLINK", KEYS[1], KEYS[2], KEYS[3])
redis.call("ZREM", KEYS[4], ARGV[1])
return 1
