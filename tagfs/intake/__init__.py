"""How files that name downloads become downloads, whoever brings them: the socket, /inbox, or a watched folder."""
