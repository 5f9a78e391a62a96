-- batch_read: a batch as it is now. Each reading has a higher number than all before.
--
-- KEYS: batch, its items
-- ARGV: now
-- Returns: {number, fields and values of the batch, letters of its items}, or {} when it is not on the board

-- include letters
if redis.call("EXISTS", KEYS[1]) == 0 then
    return {}
end
local seq = tonumber(redis.call("HGET", KEYS[1], "seq") or 0)
seq = math.max(seq + 1, math.floor(ARGV[1] * 1000))
redis.call("HSET", KEYS[1], "seq", string.format("%d", seq))
local items = redis.call("GET", KEYS[2]) or ""
if items:find("%Z") then
    redis.call("HSETNX", KEYS[1], "started", ARGV[1])
end
if items:find(NOT_ENDED) then
    redis.call("HDEL", KEYS[1], "ending")
    if redis.call("HDEL", KEYS[1], "finished") == 1 then
        -- A chain of it was resumed, or what has failed is to be retried.
        redis.call("PERSIST", KEYS[1])
        redis.call("PERSIST", KEYS[2])
    end
else
    -- All who find that it has ended agree on the moment.
    redis.call("HSETNX", KEYS[1], "ending", ARGV[1])
end
return {seq, redis.call("HGETALL", KEYS[1]), items}
