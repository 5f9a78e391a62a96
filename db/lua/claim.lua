-- claim: a recorder takes over what dead ones have taken and not settled; each of those leaves the group.
--
-- KEYS: event stream, registry of workers
-- ARGV: group, the recorder's name, key of a worker's life without the worker's id, most events, milliseconds
--       after which events go to another though nobody knows their recorder to be dead
-- Returns: how many the recorder holds then, and about how many bytes an event of the stream has (0 where the
--          server does not tell); an error when there is no group
--
-- A recorder has the name of its worker. Dead is one of the registry without a proof of life: once Redis was
-- emptied, a living worker is missing in both for some seconds.

local stream, group, name, room = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[4])
-- As many as unpack() surely takes.
local SLICE = 1000

local function pending(consumer, idle, most)
    return redis.call("XPENDING", stream, group, "IDLE", idle, "-", "+", most, consumer)
end

local function take(consumer, idle)
    while room > 0 do
        local found, arguments = pending(consumer, idle, math.min(SLICE, room)), {}
        if #found == 0 then
            return
        end
        for at, entry in ipairs(found) do
            arguments[at] = entry[1]
        end
        arguments[#found + 1] = "JUSTID"
        redis.call("XCLAIM", stream, group, name, idle, unpack(arguments))
        room = room - #found
    end
end

local held = 0
for _, found in ipairs(redis.call("XPENDING", stream, group)[4] or {}) do
    local consumer = found[1]
    if consumer == name then
        held = tonumber(found[2])
    else
        local life = redis.call("EXISTS", ARGV[3] .. consumer)
        local is_dead = life == 0 and redis.call("HEXISTS", KEYS[2], consumer) == 1
        local idle = is_dead and 0 or tonumber(ARGV[5])
        -- A recorder settles all that it has before it takes more, so the first tells how long the rest waits.
        local first = pending(consumer, 0, 1)[1]
        if first and first[3] >= idle then
            take(consumer, idle)
        end
        if is_dead and #pending(consumer, 0, 1) == 0 then
            redis.call("XGROUP", "DELCONSUMER", stream, group, consumer)
        end
    end
end
local size = redis.pcall("MEMORY", "USAGE", stream)
local length = redis.call("XLEN", stream)
local average = type(size) == "number" and length > 0 and math.ceil(size / length) or 0
return {held + ARGV[4] - room, average}
