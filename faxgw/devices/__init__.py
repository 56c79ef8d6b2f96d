"""Devices: office machines and programs that submit faxes by mail or SFTP, each with a login and secret of its own."""
