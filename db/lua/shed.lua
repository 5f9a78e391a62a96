-- shed: ended chains of batches soon leave the board, as the ledger has all of them.
--
-- KEYS: of each chain: live hash, status array, message stream
-- ARGV: seconds that they stay, then of each chain: the number of its last event that the ledger has
-- Returns: how many; a chain that has moved since, or has not ended, is not among them

-- include basics
local shed = 0
for at = 1, #KEYS, 3 do
    local text = redis.call("HGET", KEYS[at], "state")
    local state = text and cjson.decode(text)
    if state and TERMINAL[state.status] and state.seq == tonumber(ARGV[(at - 1) / 3 + 2]) then
        for key = at, at + 2 do
            redis.call("EXPIRE", KEYS[key], ARGV[1])
        end
        shed = shed + 1
    end
end
return shed
