-- What scripts need that do not change a chain, too.

local TERMINAL = {SUCCESS = true, FAILURE = true, REVOKED = true}

local function milliseconds()
    local time = redis.call("TIME")
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether a run may still report on the task: it holds the newest token and the task is in its hands.
local function holds(task, token)
    return task.token == tonumber(token) and (task.status == "STARTED" or task.status == "RUNNING")
end
