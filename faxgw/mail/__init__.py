"""Mail: what devices and people submit by SMTP, and what is sent to mailboxes."""
