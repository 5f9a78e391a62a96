-- hand_over: a transition of the board, the messages that follow from it, and the settling of the message
-- that caused it, in one step: no crash can fall between them.
--
-- The broker puts two texts in front: `transition`, one of the board's scripts, and `dispatch`, Dramatiq's
-- own script, each wrapped in a function of that name.
--
-- KEYS: live hash, status array, event stream, message stream, open chains, the broker's namespace
-- ARGV: how many arguments the transition takes, those arguments,
--       timestamp, broker id, heartbeat timeout, dead message ttl, unpack size (for dispatch),
--       queue, "ack" | "nack" | "requeue" | "drop" | "", redis message id (of the message that is settled),
--       then for each message: queue, redis message id, data
-- Returns: what the transition returns. Messages go out when its second value is "next", or a list of the
--          indexes of those that go out.

local taken = 0
local function take(count)
    taken = taken + count
    return {unpack(ARGV, taken - count + 1, taken)}
end

local namespace = KEYS[6]
local arguments = take(tonumber(take(1)[1]))
local facts = take(5)
local settled = take(3)

local function send(command, queue, ...)
    return dispatch({namespace},
        {command, facts[1], queue, facts[2], facts[3], facts[4], "0", facts[5], ...})
end

local function enqueue(at)
    local queue, id, data = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    send("enqueue", queue, id, data)
    local wake = namespace .. ":" .. queue .. ":wake"
    if redis.call("LLEN", wake) < 16 then
        redis.call("RPUSH", wake, "1")
    end
end

local answer = transition({KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]}, arguments)
local fire = answer[2]
if fire == "next" then
    for at = taken + 1, #ARGV, 3 do
        enqueue(at)
    end
elseif type(fire) == "table" then
    for _, index in ipairs(fire) do
        enqueue(taken + 3 * index - 2)
    end
end
local queue, verb, id = settled[1], settled[2], settled[3]
if answer[1] == "stale" or verb == "drop" then
    -- There is no run, or it has lost its task. A message that was sent since has the same id: its data must
    -- stay.
    verb = "ack"
    if redis.call("LPOS", namespace .. ":" .. queue, id) then
        redis.call("SREM", namespace .. ":__acks__." .. facts[2] .. "." .. queue, id)
        verb = ""
    end
end
if verb ~= "" then
    send(verb, queue, id)
end
return answer
