-- lost: which runs have lost their tasks, to a revoke or to another worker. One whose chain the board does
-- not know keeps going.
--
-- KEYS: live hashes, one for each run
-- ARGV: for each run: place, token
-- Returns: the indexes of those that have, from 1

local lost = {}
for i, live in ipairs(KEYS) do
    local text = redis.call("HGET", live, ARGV[2 * i - 1])
    if text then
        local task = cjson.decode(text)
        if task.token ~= tonumber(ARGV[2 * i]) or (task.status ~= "STARTED" and task.status ~= "RUNNING") then
            lost[#lost + 1] = i
        end
    end
end
return lost
