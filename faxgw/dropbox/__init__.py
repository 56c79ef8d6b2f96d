"""The drop box: a document dropped into a device's folder by SFTP, with its sidecar, becomes a fax."""
