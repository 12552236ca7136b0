-- Defines `done` alone, so that wrk's request path stays as it is without a script. wrk's
-- own way to the histogram, latency(i), searches from the minimum at each call: seconds
-- for the 20,000 buckets of one run. So it is read where it lies (stats.h: count, limit,
-- min, max, data[]) if what lies there agrees with what wrk says of it. The request is set
-- once, when the script is read, and is as static as wrk's own: see wrk_request().

local request_file = os.getenv("MICROPIE_BENCH_REQUEST")
if request_file then
    local file = assert(io.open(request_file, "rb"))
    wrk.method, wrk.path = file:read("*l"):match("^(%S+) (.*)$")
    for line in file:lines() do
        if line == "" then break end
        local header, value = line:match("^(.-): (.*)$")
        wrk.headers[header] = value
    end
    local body = file:read("*a")
    if body ~= "" or wrk.method ~= "GET" then wrk.body = body end
    file:close()
end

local function number(value)
    if value ~= value then return "0" end  -- not a number
    return string.format("%.17g", value)
end

local function direct(latency, buckets)
    local stats = require("ffi").cast("uint64_t **", latency)[0]
    local min, max = tonumber(stats[2]), tonumber(stats[3])
    assert(min == latency.min and max == latency.max)
    for value = min, max do
        local count = tonumber(stats[4 + value])
        if count > 0 then
            buckets[#buckets + 1] = string.format("[%.0f,%.0f]", value, count)
        end
    end
    assert(#buckets == #latency)
end

local function by_index(latency, buckets)
    for i = 1, #latency do
        buckets[i] = string.format("[%.0f,%.0f]", latency(i))
    end
end

function done(summary, latency, requests)
    local errors, buckets, cpu_s = summary.errors, {}, os.clock()
    if rate_figures then cpu_s = cpu_s - cpu_s_before() end
    if not pcall(direct, latency, buckets) then
        buckets = {}
        by_index(latency, buckets)
    end
    io.write("\nmicropie-bench-exact:{",
        '"duration_us":', number(summary.duration),
        ',"requests":', number(summary.requests),
        ',"bytes":', number(summary.bytes),
        ',"cpu_s":', number(cpu_s),
        ',"errors":{',
        '"connect":', number(errors.connect),
        ',"read":', number(errors.read),
        ',"write":', number(errors.write),
        ',"status":', number(errors.status),
        ',"timeout":', number(errors.timeout),
        '},"mean_us":', number(latency.mean),
        ',"stdev_us":', number(latency.stdev),
        ',"max_us":', number(latency.max),
        ',"histogram":[', table.concat(buckets, ","), ']',
        rate_figures and ',"at_rate":' .. rate_figures() or '', '}\n')
end
