"""The SMTP submission server: devices hand over mail under TLS with a credential of their own, or not at all."""
