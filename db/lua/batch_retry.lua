-- batch_retry: what has failed is asked to be retried: from now on it is open, and waits for its chunk's turn.
--
-- KEYS: batch, its items, open batches
-- ARGV: batch id
-- Returns: {"recorded", how many}, {"revoked", 0} or {"unknown", 0}

if redis.call("EXISTS", KEYS[1]) == 0 then
    return {"unknown", 0}
end
if redis.call("HEXISTS", KEYS[1], "revoked") == 1 then
    return {"revoked", 0}
end
local letters, count = (redis.call("GET", KEYS[2]) or ""):gsub("[Ff]", {F = "q", f = "w"})
if count > 0 then
    redis.call("SET", KEYS[2], letters)
    -- How fast they have failed does not tell how fast they will succeed.
    redis.call("HDEL", KEYS[1], "finished", "let_go")
    redis.call("PERSIST", KEYS[1])
    redis.call("ZADD", KEYS[3], 0, ARGV[1])
end
return {"recorded", count}
