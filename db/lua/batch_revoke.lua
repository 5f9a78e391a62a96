-- batch_revoke: a batch is called off: no chunk is released any more, and what has not started will not. What
-- has failed and was to be retried has failed.
--
-- KEYS: batch, its items, open batches
-- ARGV: batch id, reason, number of its items
-- Returns: {"recorded", number that will not start, number of retries called off}, {"closed"} the batch has
--          ended, {"unknown"}

if redis.call("EXISTS", KEYS[1]) == 0 then
    return {"unknown"}
end
if redis.call("HEXISTS", KEYS[1], "finished") == 1 then
    return {"closed"}
end
redis.call("HSETNX", KEYS[1], "revoked", ARGV[2])
local letters = redis.call("GET", KEYS[2]) or ""
letters = letters .. string.rep("\0", ARGV[3] - #letters)
local new, retries
letters, new = letters:gsub("[%zw]", "r")
letters, retries = letters:gsub("[qn]", "F")
redis.call("SET", KEYS[2], letters)
redis.call("ZADD", KEYS[3], 0, ARGV[1])
return {"recorded", new, retries}
