"""The peer's network on libp2p.

`network.Network` is the way in: it keeps a link to each member and reports to the driver. From the top down:

    network, dialling, discovery, addresses       which peers to have a link to, and where they are
    link, greeting, frames, transfers, meter      what is said on one link, and within which bounds
    host, hardening                               libp2p, made fit for an open port
    listener, doors, knocks, noise, keys          which connections may begin a handshake, and the handshake
    yamux, streams, outbox, wire                  the streams of one connection, and the bytes below them
"""
