-- batch_mark: items of a batch get a letter, those that have none yet or, if so asked, are open.
--
-- KEYS: batch, its items, open batches
-- ARGV: batch id, letter, "new" | "open" (new ones, and those whose chain is open), then first, last, ...
-- Returns: how many were marked

if redis.call("EXISTS", KEYS[1]) == 0 then
    return 0
end
local marked = 0
for at = 4, #ARGV, 2 do
    local first, last = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    local letters = redis.call("GETRANGE", KEYS[2], first, last)
    letters = letters .. string.rep("\0", last - first + 1 - #letters)
    local changed, count = letters:gsub(ARGV[3] == "open" and "[%zp]" or "%z", ARGV[2])
    if count > 0 then
        redis.call("SETRANGE", KEYS[2], first, changed)
        marked = marked + count
    end
end
if marked > 0 then
    redis.call("ZADD", KEYS[3], "LT", 0, ARGV[1])
end
return marked
