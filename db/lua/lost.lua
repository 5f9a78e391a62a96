-- lost: which runs have lost their tasks, to a revoke or to another worker. One whose chain the board does
-- not know keeps going.
--
-- KEYS: live hashes, one for each run
-- ARGV: for each run: place, token
-- Returns: the indexes of those that have, from 1

-- include basics
local lost = {}
for i, live in ipairs(KEYS) do
    local text = redis.call("HGET", live, ARGV[2 * i - 1])
    if text and not holds(cjson.decode(text), ARGV[2 * i]) then
        lost[#lost + 1] = i
    end
end
return lost
