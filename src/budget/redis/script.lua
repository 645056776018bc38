-- One step on the state that the gateways share. It is one sorted set, so that it is there or gone
-- as a whole. A slot is scored by the time at which it is free again. What is no slot has a score
-- below zero, which is a time negated:
--   since   when the state was made
--   pace    when the next request is due, were they spread evenly (GCRA)
--   closed  until when nobody may take a slot
-- Times are the server's, in microseconds since 1970, which a double holds exactly.

local key, action = KEYS[1], ARGV[1]
local known, limit, interval = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tolerance, hold, lease = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local grace = tonumber(ARGV[8])
-- Then slots in pairs: the id, and how long the slot is not free.
local first_slot = 9

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function when(name)
  return -tonumber(redis.call('ZSCORE', key, name) or 0)
end

-- When this Redis started, at the latest; 0 where it does not tell.
local function started()
  local info = redis.pcall('INFO', 'server')
  local seconds = type(info) == 'string' and string.match(info, 'uptime_in_seconds:(%d+)')
  return seconds and now - seconds * 1000000 or 0
end

local function put(...)
  redis.call('ZADD', key, ...)
  -- No slot is held for longer than a lease.
  redis.call('PEXPIRE', key, math.ceil(lease / 1000))
end

redis.call('ZREMRANGEBYSCORE', key, 0, now)
local since = when('since')
-- Whether the caller had slots in a state that is gone; 0 is a caller without slots.
local is_another = known ~= 0 and known ~= since

if action == 'take' then
  if is_another then
    return { 'lost', 0 }
  end
  local free = now
  local used = redis.call('ZCOUNT', key, 0, '+inf')
  if used >= limit then
    local next = redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'WITHSCORES', 'LIMIT', used - limit, 1)
    -- The slot of a request that is over now would be free then.
    free = math.min(tonumber(next[2]), now + hold)
  end
  local pace = math.max(when('pace'), now)
  local earliest = math.max(free, pace - tolerance, when('closed'))
  if known == 0 then
    -- Those who had slots in a Redis that restarted are about to come back.
    earliest = math.max(earliest, started() + grace)
  end
  if earliest > now then
    return { 'wait', earliest - now }
  end
  if since == 0 then
    since = now
  end
  put(now + ARGV[first_slot + 1], ARGV[first_slot], -(pace + interval), 'pace', -since, 'since')
  return { 'done', since }
end

if action == 'give_back' then
  if redis.call('ZREM', key, ARGV[first_slot]) == 1 then
    put('XX', -math.max(when('pace') - interval, now), 'pace')
  end
  return { 'done', since }
end

if action == 'join' then
  if since == 0 then
    since = now
  end
  put(-since, 'since')
  if known ~= 0 then
    -- What was sent before this state was made, or this Redis started, is not all in here.
    local made = math.max(started(), is_another and since or 0)
    put(-math.max(when('closed'), made + hold), 'closed')
  end
  is_another = false
end

-- To join, and to hold a slot whose request is over.
for slot = first_slot, #ARGV, 2 do
  put(now + ARGV[slot + 1], ARGV[slot])
end
if is_another then
  return { 'lost', 0 }
end
return { 'done', since }
