"""Who may do what with a box, as a condition of SQL: so it is asked anew with every statement, and nothing lags."""

from typing import Literal
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, and_, any_, cast, exists, func, literal, or_, select, true

from faxgw.store.tables import boxes, faxes, grants, tenants

Right = Literal["read", "send", "manage"]
RIGHTS: tuple[Right, ...] = ("read", "send", "manage")
Switch = Literal["allow_delegation", "allow_forwarding"]


def may(user: UUID | ColumnElement[UUID], right: Right) -> ColumnElement[bool]:
    """Return whether somebody has a right to the box of a row of ``boxes``: as its owner, or by a grant that holds."""
    mine = (
        (grants.c.box_id == boxes.c.id)
        & (grants.c.user_id == user)
        & (literal(right) == any_(grants.c.rights))
        & unexpired()
    )
    return or_(boxes.c.owner_id == user, _granted(mine))


def has_any(user: UUID) -> ColumnElement[bool]:
    """Return whether somebody has any right to the box of the row of ``boxes``."""
    mine = (grants.c.box_id == boxes.c.id) & (grants.c.user_id == user) & unexpired()
    return or_(boxes.c.owner_id == user, _granted(mine))


def emergency() -> ColumnElement[bool]:
    """Return whether a grant is of the tenant's escrow, and not somebody's delegation."""
    return grants.c.request_id.is_not(None)


def faxes_with(user: UUID, right: Right) -> ColumnElement[bool]:
    """Return whether a fax lies in a box to which somebody has a right."""
    return faxes.c.box_id.in_(select(boxes.c.id).where(may(user, right)))


def seen_by(user: UUID) -> ColumnElement[bool]:
    """Return whether somebody sees a fax: it lies in a box that they read, or they sent it from one where they may."""
    sent = and_(faxes.c.user_id == user, faxes.c.direction == "out", faxes_with(user, "send"))
    return or_(faxes_with(user, "read"), sent)


def unexpired() -> ColumnElement[bool]:
    """Return whether the grant's time is not up."""
    return or_(grants.c.expires_at.is_(None), grants.c.expires_at > func.now())


def allowed(switch: Switch, tenant_id: UUID | ColumnElement[UUID]) -> ColumnElement[bool]:
    """Return what a switch of a tenant's policy says now."""
    said = func.coalesce(cast(tenants.c.policy[switch].astext, Boolean), true())
    return select(said).where(tenants.c.id == tenant_id).correlate_except(tenants).scalar_subquery()


def _granted(mine: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether there is such a grant, of the escrow's or one that the policy lets people give."""
    by_escrow, any_ = (
        exists(select(grants.c.id).where(each).correlate_except(grants)) for each in (mine & emergency(), mine)
    )
    return or_(and_(any_, allowed("allow_delegation", boxes.c.tenant_id)), by_escrow)
