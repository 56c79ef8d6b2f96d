"""The resources of the API, one module each."""

from faxgw.api.resources import (
    about,
    api_keys,
    batches,
    boxes,
    contents,
    destinations,
    documents,
    events,
    faxes,
    numbers,
    policy,
    routing,
    sandbox,
    usage,
    webhooks,
    well_known,
)

ROUTERS = (
    faxes.router,
    documents.uploads,
    faxes.uploads,
    documents.router,
    contents.router,
    events.router,
    batches.router,
    boxes.router,
    numbers.router,
    routing.router,
    destinations.router,
    webhooks.router,
    usage.router,
    policy.router,
    api_keys.router,
    sandbox.router,
    about.router,
    well_known.router,
)
"""In the order in which addresses are looked up: what is asked for most comes first."""
