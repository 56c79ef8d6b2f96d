"""The far side of every driver: circuits, fax machines and modems that need no telephone."""
