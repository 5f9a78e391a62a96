-- batch_note: a field of a batch's hash is set, if the batch is on the board.
--
-- KEYS: batch
-- ARGV: field, value
-- Returns: 1, or 0 when the batch is not on the board

if redis.call("EXISTS", KEYS[1]) == 0 then
    return 0
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
return 1
