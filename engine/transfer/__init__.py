"""Downloads: the queue, the plan of connections, the file being filled, the readers that wait for it."""
