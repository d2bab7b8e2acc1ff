"""The daemon's door for programs: JSON-RPC 2.0, one message a line, over a unix socket. Imports nothing of the engine.

verbs      what can be asked (a Protocol), with views as the answers      <- implemented by tagfs.service
codec      dataclasses <-> JSON, by their annotations
protocol   bytes <-> messages; limits
dispatch   method name and params -> a call of Verbs -> result or error
server     trio: sockets, connections, calls, progress
client     blocking: what the command line uses
"""
