"""Keys: sealed objects, who may open them, and the secrets of people, of programs and of the server itself."""
