"""What server and agents share a secret with: keys, ciphers, the sealed channel (spec/protocol.md, sections 1 and 2).

`keys` client.keys, its lines and what is derived from them · `channel` datagrams sealed and opened · `counters` what
keeps an old datagram from being taken again · `rids` those counters on disk.
"""
