-- Deliveries that wait, and how far the alerts' log is taken in: in one slot, so that one call does both.
-- ARGV: 1 operation, then the operation's own. An instant is a whole number of microseconds: exact as a score.
local operation = ARGV[1]

if operation == 'take' then
  -- KEYS: 1 positions, then waiting, kept and settled of each subscription
  -- ARGV: 2 partition (empty: none), 3 expected position, 4 target, 5 repeats too?, then for each subscription
  --       how many, and (alert, due, delivery) of each
  local partition, expected, target, repeats = ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
  if partition ~= '' then
    local current = redis.call('HGET', KEYS[1], partition) or ''
    if current == target then return 0 end
    if current ~= expected then return redis.error_reply('FENCED position is ' .. current) end
  end
  local at, added = 6, 0
  for key = 2, #KEYS, 3 do
    local last = at + 3 * tonumber(ARGV[at])
    for entry = at + 1, last, 3 do
      local alert, due, delivery = ARGV[entry], ARGV[entry + 1], ARGV[entry + 2]
      local known = not repeats and redis.call('ZSCORE', KEYS[key + 2], alert)
      if not known and redis.call('HSETNX', KEYS[key + 1], alert, delivery) == 1 then
        redis.call('ZADD', KEYS[key], due, alert)
        added = added + 1
      end
    end
    at = last + 1
  end
  if partition ~= '' then
    for _ = 1, 2 do redis.call('HSET', KEYS[1], partition, target) end  -- never alone: see fold/store.lua
  end
  return added
end

if operation == 'claim' then
  -- KEYS: 1 disabled, 2 enabled, 3 waiting, 4 kept; ARGV: 2 subscription, 3 now, 4 leased until, 5 how many at most
  -- Gives when the next is due (empty: none waits), what stands for the last enabling, then the deliveries.
  local found = {'', redis.call('HGET', KEYS[2], ARGV[2]) or ''}
  if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then return found end
  for place, alert in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[3], 'LIMIT', 0, ARGV[5])) do
    local delivery = redis.call('HGET', KEYS[4], alert)
    if delivery then
      redis.call('ZADD', KEYS[3], string.format('%.0f', ARGV[4] + place - 1), alert)  -- in order again
      found[#found + 1] = delivery
    else
      redis.call('ZREM', KEYS[3], alert)
    end
  end
  local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if first[2] then found[1] = first[2] end
  return found
end

if operation == 'disable' then
  -- KEYS: 1 disabled, 2 enabled; ARGV: 2 subscription, 3 since when and why, 4 what stood for the last enabling
  -- Gives whether it is disabled by this: not where it was enabled since, or is disabled already.
  if (redis.call('HGET', KEYS[2], ARGV[2]) or '') ~= ARGV[4] then return 0 end
  return redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[3])
end

if operation == 'again' then
  -- KEYS: 1 failing, 2 waiting, 3 kept; ARGV: 2 subscription, 3 alert, 4 due, 5 delivery, 6 now
  -- Gives since when the subscription fails; empty when the delivery was settled meanwhile.
  if redis.call('HEXISTS', KEYS[3], ARGV[3]) == 0 then return '' end
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
  redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[6])
  return redis.call('HGET', KEYS[1], ARGV[2])
end
return redis.error_reply('unknown operation ' .. operation)
