"""What clients and servers say to one another, and nothing about how it travels.

`frames` lists the kinds, `codec` turns them into bytes and back, `slicing` cuts payloads into
pieces: the same bytes can be produced and read by any MessagePack library in any language
(`docs/protocol.md`). `client_session` and `worker_session` are the two sides of the conversation:
events in, actions out. No sockets, no files, no clock, no threads, no pixels.
"""
