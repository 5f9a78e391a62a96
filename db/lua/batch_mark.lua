-- batch_mark: items of a batch get a letter, those that are in one state.
--
-- KEYS: batch, its items, open batches
-- ARGV: batch id, letter, state, then first, last, ...; states: "new" those that have no letter, "open" those and
--       what has an open chain, "again" what has failed and whose chunk has been released again
-- Returns: how many were marked

if redis.call("EXISTS", KEYS[1]) == 0 then
    return 0
end
local LETTERS = {new = "%z", open = "[%zp]", again = "n"}
local marked = 0
for at = 4, #ARGV, 2 do
    local first, last = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local letters = redis.call("GETRANGE", KEYS[2], first, last)
    letters = letters .. string.rep("\0", last - first + 1 - #letters)
    local changed, count = letters:gsub(LETTERS[ARGV[3]], ARGV[2])
    if count > 0 then
        redis.call("SETRANGE", KEYS[2], first, changed)
        marked = marked + count
    end
end
if marked > 0 then
    redis.call("ZADD", KEYS[3], "LT", 0, ARGV[1])
end
return marked
