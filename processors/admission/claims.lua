-- Claim idempotency keys for one partition, in offset order (architecture.md section 3, rule 1).
--
-- KEYS[1]  the partition's claims: a hash of `through`, `vector`, `clock`, `width`, and one field
--          `g<generation>` = "bits:count,..." of its segments; buckets are KEYS[1]:<generation>:<segment>:<bucket>
-- ARGV     from, to          the span of usage offsets that the batch covers, `to` exclusive
--          generation        of every item
--          expected          keys in a generation when nothing is known
--          items             16 bytes digest, 5 bytes offset, 5 bytes content, each
-- Returns one character an item: 0 claimed (now, or before by the same offset), 1 repeated, 2 repeated
-- with other content; a claim of an older release may hold more of the content or less, and then says
-- nothing of it: repeated. Everything that can be refused is refused before the first write; the claims
-- themselves may be written again, by the same offsets, without harm; `through` is written last.

local ITEM, LOAD, MOST_BITS = 26, 80, 24
local meta = KEYS[1]
local from, to = tonumber(ARGV[1]), tonumber(ARGV[2])
local generation, expected = tonumber(ARGV[3]), tonumber(ARGV[4])
local items = ARGV[5]
local sub, byte, floor, call = string.sub, string.byte, math.floor, redis.call
local total = #items / ITEM

if total ~= floor(total) or to < from then
  return redis.error_reply('MALFORMED claims of ' .. #items .. ' bytes')
end
local now, before = 'g' .. generation, 'g' .. (generation - 1)
local stored = call('HMGET', meta, 'through', 'clock', 'width', before, now)
local through = tonumber(stored[1] or '')
if not through or through < from then
  return redis.error_reply('CLAIMSBEHIND claimed through ' .. tostring(stored[1]) .. ', asked from ' .. from)
end
if generation < floor(tonumber(stored[2]) / tonumber(stored[3])) - 1 then
  return redis.error_reply('FENCED generation ' .. generation .. ' was dropped: another worker is ahead')
end

local function read(text)
  local segments = {}
  for bits, count in string.gmatch(text or '', '(%d+):(%d+)') do
    segments[#segments + 1] = {bits = tonumber(bits), count = tonumber(count)}
  end
  return segments
end

local function bits_for(keys)
  local bits = 0
  while bits < MOST_BITS and LOAD * 2 ^ bits < keys do bits = bits + 1 end
  return bits
end

local function open(segment, of, index)
  segment.prefix = meta .. ':' .. of .. ':' .. index .. ':'
  segment.divisor = 2 ^ (24 - segment.bits)
  return segment
end

local earlier, current = {}, read(stored[5])
local known = 0
for index, segment in ipairs(read(stored[4])) do
  earlier[#earlier + 1] = open(segment, generation - 1, index)
  known = known + segment.count
end
if #current == 0 then
  current[1] = {bits = bits_for(known > 0 and known * 1.2 or expected), count = 0}
end
local last = current[#current]
if last.count > 0 and last.count + total > LOAD * 2 ^ last.bits then
  current[#current + 1] = {bits = math.min(last.bits + 1, MOST_BITS), count = 0}
end
for index, segment in ipairs(current) do open(segment, generation, index) end
last = current[#current]
for index = 1, #current - 1 do earlier[#earlier + 1] = current[index] end

local answers, searched = {}, #earlier
local prefix, divisor, claimed = last.prefix, last.divisor, 0
for item = 1, total do
  local at = (item - 1) * ITEM
  local first, second, third = byte(items, at + 1, at + 3)
  local place = first * 65536 + second * 256 + third
  local field, value = sub(items, at + 4, at + 16), sub(items, at + 17, at + ITEM)
  local found = false
  for index = 1, searched do
    local segment = earlier[index]
    found = call('HGET', segment.prefix .. floor(place / segment.divisor), field)
    if found then break end
  end
  if not found then
    local bucket = prefix .. floor(place / divisor)
    if call('HSETNX', bucket, field, value) == 1 then
      claimed = claimed + 1
    else
      found = call('HGET', bucket, field)
    end
  end
  if not found or sub(found, 1, 5) == sub(value, 1, 5) then
    answers[item] = '0'
  elseif #found ~= #value or sub(found, 6) == sub(value, 6) then
    answers[item] = '1'
  else
    answers[item] = '2'
  end
end

if total > 0 then
  last.count = last.count + claimed
  local texts = {}
  for index, segment in ipairs(current) do texts[index] = segment.bits .. ':' .. segment.count end
  call('HSET', meta, now, table.concat(texts, ','))
end
if to > through then
  for _ = 1, 2 do call('HSET', meta, 'through', ARGV[2]) end  -- never alone: see fold/store.lua
end
return table.concat(answers)
