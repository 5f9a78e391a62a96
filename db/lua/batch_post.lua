-- batch_post: a batch goes onto the board, new or read from the ledger. One that is there stays as it is.
--
-- KEYS: batch, its items, open batches
-- ARGV: batch id, letters of all its items as the ledger has them, then field, value, ...
-- Returns: 1, or 0 when the batch is on the board

if redis.call("EXISTS", KEYS[1]) == 1 then
    return 0
end
redis.call("HSET", KEYS[1], unpack(ARGV, 3))
-- What a chain has told since the ledger was read is newer.
local known, merged = redis.call("GET", KEYS[2]) or "", {}
for at = 1, #ARGV[2], 1000 do
    local part, own = ARGV[2]:sub(at, at + 999), known:sub(at, at + 999)
    if own:find("%Z") then
        local letters = {}
        for i = 1, #part do
            local letter = own:sub(i, i)
            letters[i] = (letter == "" or letter == "\0") and part:sub(i, i) or letter
        end
        part = table.concat(letters)
    end
    merged[#merged + 1] = part
end
redis.call("SET", KEYS[2], table.concat(merged))
redis.call("ZADD", KEYS[3], 0, ARGV[1])
return 1
