-- batch_release: chunks are released, for the first time or again, unless somebody else has done so or the
-- batch was revoked. Of a chunk that is released again, what waits for that may now be started or resumed.
--
-- KEYS: batch, its items
-- ARGV: releases so far, number of chunks released so far, number from now on,
--       segments of the chunks' sizes (JSON, "" = as they are), now, images that had been let go before,
--       then first and last item of each chunk that is released again
-- Returns: {} when the caller is to send nothing, else {1, indexes from 1 of those released again that hold
--          something to do, ...}

local found = redis.call("HMGET", KEYS[1], "turn", "released", "revoked")
if (found[1] or "0") ~= ARGV[1] or found[2] ~= ARGV[2] or found[3] then
    return {}
end
redis.call("HSET", KEYS[1], "turn", ARGV[1] + 1, "released", ARGV[3], "let_go", ARGV[5], "before", ARGV[6])
if ARGV[4] ~= "" then
    redis.call("HSET", KEYS[1], "segments", ARGV[4])
end
local answer = {1}
for at = 7, #ARGV, 2 do
    local letters = redis.call("GETRANGE", KEYS[2], ARGV[at], ARGV[at + 1])
    local changed, count = letters:gsub("[qw]", {q = "n", w = "\0"})
    if count > 0 then
        redis.call("SETRANGE", KEYS[2], ARGV[at], changed)
        answer[#answer + 1] = (at - 5) / 2
    end
end
return answer
