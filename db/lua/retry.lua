-- retry: a task has failed and will be tried again.
--
-- KEYS: live hash, status array, event stream, message stream, open chains
-- ARGV: chain id, stage, member, token, now, status ttl, final ttl, metadata (JSON object), error,
--       traceback, retries (as the next message will say), millisecond at which it is due
-- Returns: {"recorded", "next"} send the message of the retry, {"repeated"}, {"stale"}

-- include transition
local chain, of, task = read(ARGV[2], ARGV[3])
if not chain then
    return {"stale"}
end
if not holds(task, ARGV[4]) then
    return refusal(task, ARGV[4], "RETRY")
end
task.status, task.metadata, task.error = "RETRY", ARGV[8], ARGV[9]
task.retries, task.due = tonumber(ARGV[11]), tonumber(ARGV[12])
show(ARGV[1], chain, of, task, ARGV[5], ARGV[6], ARGV[7], "", {traceback = ARGV[10]}, false)
return {"recorded", "next"}
