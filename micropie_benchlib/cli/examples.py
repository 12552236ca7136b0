"""What stands below the help of each command."""

TOP_EXAMPLES = """
\b
Examples:
  micropie-bench compare              MicroPie and FastAPI, about 4 minutes
  micropie-bench compare --quick      a first result in 15 s
  micropie-bench compare a=old:app b=new:app
  micropie-bench COMMAND --help       all options of a command
"""
TARGET_SYNTAX = """
\b
A target is one of
  micropie, fastapi, starlette, asgi  built in; `targets` lists all
  fastapi@0.115.7                     that release of it, fetched once
  fastapi@2025-06-03                  with its server, as of that day
  module:attribute                    your ASGI app, found from this directory
  module:attribute@git:REF            the same at a commit, tag or branch
  'cmd:COMMAND'                       any server, with {port} for its port
  http://HOST:PORT/                   a server that is already running
NAME=TARGET sets the name that tables show.
"""
ABOUT = "Compare MicroPie with FastAPI, or any two HTTP servers, under identical load."
EXAMPLES = {
    "serve": """
\b
Examples:
  micropie-bench serve micropie
  micropie-bench serve app:app --port 9000 -w 2
""",
    "compare": TARGET_SYNTAX
    + """
\b
Examples:
  micropie-bench compare -c 50,400 -r 12
  micropie-bench compare before=old:app after=app:app --path /items
  micropie-bench compare mine=app:app 'go=cmd:./server -port {port}'
  micropie-bench compare one=app:app four=app:app --set one.workers=1
  micropie-bench compare --git main..HEAD app:app
  micropie-bench compare --config bench.toml
  micropie-bench compare micropie@0.13 micropie --fail-if-slower 5%
  micropie-bench compare --export-json run.json --export-html run.html
""",
    "capacity": TARGET_SYNTAX
    + """
\b
Examples:
  micropie-bench capacity
  micropie-bench capacity fastapi mine=app:app --p99-limit 20ms -c 50
  micropie-bench capacity mine=app:app -r 1    # a first look, no interval
""",
    "bisect": """
\b
Examples:
  micropie-bench bisect fastapi@0.110..0.120
  micropie-bench bisect fastapi@2024-01-01..2026-11-30 --slower-than 5%
  micropie-bench bisect app:app --git v1..main --path /items
A comparison takes about a minute, and 32 versions take some 7 of them.
Exit status 3 says that a step was found, 0 that there is none.
""",
    "calibrate": TARGET_SYNTAX,
    "reproduce": """
\b
Examples:
  micropie-bench reproduce             the gist
  micropie-bench reproduce --list      the six published tables
  micropie-bench reproduce 2026-05-11
""",
    "parse": """
\b
Examples:
  wrk -t4 -c100 -d30s --latency http://127.0.0.1:8000/ | micropie-bench parse
  micropie-bench parse reports.txt --export-markdown tables.md
The heading above a report names its target.
""",
    "report": """
\b
Examples:
  micropie-bench report run.json --export-html run.html
  micropie-bench report here.json there.json
""",
}  # by command
