"""Carriers to folders: SFTP, SCP, FTPS, folders of this machine and buckets. Each file is there once, and whole."""
