-- Look for claims without making any, for what enters beside the usage (credits.md section 9.5).
--
-- KEYS[1]  the partition's claims, see claims.lua
-- ARGV     generation        of the usage clock at the place that is asked of
--          items             16 bytes digest, 5 bytes: usage offsets below this count, 5 bytes content, each
-- Returns one character an item, as claims.lua: 0 not claimed below that offset, 1 claimed with this
-- content, 2 claimed with other content. Refused where claims do not reach as far as is asked.

local ITEM = 26
local meta, generation, items = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local sub, byte, floor, call = string.sub, string.byte, math.floor, redis.call
local total = #items / ITEM

if total ~= floor(total) then
  return redis.error_reply('MALFORMED claims of ' .. #items .. ' bytes')
end
local stored = call('HMGET', meta, 'through', 'g' .. (generation - 1), 'g' .. generation)
local through = tonumber(stored[1] or '') or -1

local function number(text)
  local found = 0
  for at = 1, 5 do found = found * 256 + byte(text, at) end
  return found
end

local segments = {}
for back = 1, 2 do
  local index = 0
  for bits in string.gmatch(stored[back + 1] or '', '(%d+):%d+') do
    index = index + 1
    segments[#segments + 1] = {
      prefix = meta .. ':' .. (generation - 2 + back) .. ':' .. index .. ':',
      divisor = 2 ^ (24 - tonumber(bits)),
    }
  end
end

local answers = {}
for item = 1, total do
  local at = (item - 1) * ITEM
  local first, second, third = byte(items, at + 1, at + 3)
  local place = first * 65536 + second * 256 + third
  local field, content = sub(items, at + 4, at + 16), sub(items, at + 22, at + ITEM)
  local below = number(sub(items, at + 17, at + 21))
  if through < below then
    return redis.error_reply('CLAIMSBEHIND claimed through ' .. through .. ', asked below ' .. below)
  end
  answers[item] = '0'
  for index = 1, #segments do
    local segment = segments[index]
    local found = call('HGET', segment.prefix .. floor(place / segment.divisor), field)
    if found and number(found) < below then
      local same = #found ~= 5 + #content or sub(found, 6) == content
      answers[item] = same and '1' or '2'
    end
  end
end
return table.concat(answers)
