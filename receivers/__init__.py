"""Receivers: what senders talk to. They turn a wire protocol into request bytes and an answer."""
