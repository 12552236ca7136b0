-- Before done.lua, for a load at a rate: each request is scheduled at a moment that is known
-- before, and goes to the connection that has waited longest. Each connection has a thread of
-- its own, in whose `delay` it waits for that moment: wrk's own timers count milliseconds.
-- Lua's states share nothing, so the requests lie in memory of C, under a lock. Once all are
-- answered, wrk is interrupted.

local ffi = require("ffi")
ffi.cdef[[
typedef struct { long s, ns; } mb_time;
int clock_gettime(int clock, mb_time *time);
int clock_nanosleep(int clock, int flags, const mb_time *until, mb_time *left);
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int pthread_mutex_lock(void *mutex);
int pthread_mutex_unlock(void *mutex);
unsigned long pthread_self(void);
int pthread_kill(unsigned long thread, int signal);
void *calloc(size_t count, size_t size);
typedef struct {
    double scheduled, sent, answered;
    double overslept;  // by the thread that waited for it; 0 if none did
} mb_request;
typedef struct {
    uint64_t mutex[16];  // all zero: unlocked
    double start, latest_start;  // by the clock; all other times count from the start
    double cpu_s;  // that wrk took before the start
    unsigned long main_thread;
    int connections, ready, idle, next, count;
    mb_request requests[1];  // as many as `count`
} mb_board;
]]
local C = ffi.C
local MONOTONIC, ABSOLUTE, INTERRUPTED, SIGINT, SET_TIMER_SLACK = 1, 1, 4, 2, 29
local window = tonumber(os.getenv("MICROPIE_BENCH_WINDOW"))  -- in seconds
local time = ffi.new("mb_time")
local board  -- of all threads
local mine  -- the request that this thread's connection last took

local function now()
    C.clock_gettime(MONOTONIC, time)
    return tonumber(time.s) + tonumber(time.ns) / 1e9
end

local function sleep_until(moment)
    time.s = math.floor(moment)
    time.ns = (moment - math.floor(moment)) * 1e9
    while C.clock_nanosleep(MONOTONIC, ABSOLUTE, time, nil) == INTERRUPTED do end
end

function setup(thread)
    if not board then
        local moments = assert(io.open(os.getenv("MICROPIE_BENCH_MOMENTS"), "rb")):read("*a")
        local count = #moments / ffi.sizeof("double")
        local bytes = ffi.sizeof("mb_board") + count * ffi.sizeof("mb_request")
        board = ffi.cast("mb_board *", C.calloc(1, bytes))
        assert(board ~= nil, "no memory for the requests")
        board.count = count
        board.connections = tonumber(os.getenv("MICROPIE_BENCH_CONNECTIONS"))
        board.main_thread = C.pthread_self()
        local scheduled = ffi.cast("const double *", moments)
        for k = 0, count - 1 do
            board.requests[k].scheduled = scheduled[k]
        end
    end
    board.latest_start = now() + 1.5
    thread:set("board_address", tonumber(ffi.cast("uintptr_t", board)))
end

-- All begin together, once all are connected.
local function begin()
    C.prctl(SET_TIMER_SLACK, 1, 0, 0, 0)
    board = ffi.cast("mb_board *", board_address)
    C.pthread_mutex_lock(board.mutex)
    board.ready = board.ready + 1
    C.pthread_mutex_unlock(board.mutex)
    while true do
        C.pthread_mutex_lock(board.mutex)
        local moment = now()
        if board.start == 0 then
            if board.ready == board.connections or moment > board.latest_start then
                board.start = moment + 0.02
                board.cpu_s = os.clock()
            end
        end
        local start = board.start
        C.pthread_mutex_unlock(board.mutex)
        if start > 0 then return end
        sleep_until(moment + 0.002)
    end
end

local function take()
    C.pthread_mutex_lock(board.mutex)
    local k = board.next
    if k < board.count then
        board.next = k + 1
    else
        board.idle = board.idle + 1
    end
    local is_last = board.idle == board.connections
    C.pthread_mutex_unlock(board.mutex)
    if k < board.count then return board.requests + k end
    wrk.thread:stop()
    if is_last then C.pthread_kill(board.main_thread, SIGINT) end
end

function delay()
    if not board then begin() end
    local free = now() - board.start
    if mine then mine.answered = free end
    mine = take()
    if not mine then return 60000 end
    if mine.scheduled > free then
        sleep_until(board.start + mine.scheduled)
        mine.sent = now() - board.start
        mine.overslept = mine.sent - mine.scheduled
    else
        mine.sent = free
    end
    return 0
end

local function add(histogram, seconds)
    local us = math.max(0, math.floor(seconds * 1e6 + 0.5))
    histogram[us] = (histogram[us] or 0) + 1
end

local function as_json(histogram)
    local latencies, buckets = {}, {}
    for us in pairs(histogram) do latencies[#latencies + 1] = us end
    table.sort(latencies)
    for i, us in ipairs(latencies) do
        buckets[i] = string.format("[%.0f,%.0f]", us, histogram[us])
    end
    return "[" .. table.concat(buckets, ",") .. "]"
end

local function median_us(seconds)
    table.sort(seconds)
    return string.format("%.0f", (seconds[math.ceil(#seconds / 2)] or 0) * 1e6)
end

function cpu_s_before()
    return board.cpu_s
end

function rate_figures()
    local from_scheduled, from_sent, late, thirds = {}, {}, {}, {{}, {}, {}}
    local in_window = 0
    for k = 0, board.count - 1 do
        local request = board.requests[k]
        if request.answered > 0 then
            local latency = request.answered - request.scheduled
            if request.answered <= window then in_window = in_window + 1 end
            local third = thirds[1 + math.min(2, math.floor(3 * request.scheduled / window))]
            third[#third + 1] = latency
            add(from_scheduled, latency)
            add(from_sent, request.answered - request.sent)
            if request.overslept > 0 then add(late, request.overslept) end
        end
    end
    return string.format(
        '{"offered":%d,"window_us":%.0f,"in_window":%d,"third_p50_us":[%s,%s,%s],'
        .. '"from_scheduled":%s,"from_sent":%s,"late":%s}',
        board.count, window * 1e6, in_window,
        median_us(thirds[1]), median_us(thirds[2]), median_us(thirds[3]),
        as_json(from_scheduled), as_json(from_sent), as_json(late))
end
