"""The gRPC face: messages to calls, estimates to messages, and the server around them."""
