"""A tenant that stores nothing gets no lasting wrap, whoever writes one."""

from alembic import op

revision = "0009"
down_revision = "0008"

UNSTORED = [
    # A wrap that takes the place of one that is there, such as after a change of keys, is written as ever; and as long
    # as a hold may be over what comes, everything is kept.
    """CREATE FUNCTION faxgw_no_lasting_wrap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT 1 FROM tenants t WHERE t.id = NEW.tenant_id AND t.policy ->> 'storage' = 'none')
            AND NOT EXISTS (
                SELECT 1 FROM wraps w WHERE w.object_id = NEW.object_id AND w.kind NOT IN ('spool', 'delegate')
            ) AND NOT EXISTS (
                SELECT 1 FROM holds h WHERE h.tenant_id = NEW.tenant_id AND h.released_at IS NULL AND NOT h.by_fax
                    AND (h.until IS NULL OR h.until > now())
            )
        THEN RETURN NULL; END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER unstored BEFORE INSERT ON wraps FOR EACH ROW WHEN (NEW.kind <> 'spool')
    EXECUTE FUNCTION faxgw_no_lasting_wrap()""",
]


def upgrade() -> None:
    """Change the database."""
    for statement in UNSTORED:
        op.execute(statement)
