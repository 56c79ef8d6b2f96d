"""Who may do what: one table of all operations. It is what requests are checked against and what OpenAPI shows."""

from dataclasses import dataclass

from faxgw.actor import SCOPES, Actor
from faxgw.api.problems import Problem

ADMINS = frozenset({"owner", "admin"})


@dataclass(frozen=True, slots=True)
class Access:
    """What an operation asks of its caller.

    Attributes:
        scope: what the API key must have; empty: any key will do. Sessions have every scope.
        admins: only people with the role owner or admin.
        public: no credential at all.
        session: somebody who has signed in, and no API key.
        own: of one's own account: also where a session may do nothing else, such as for want of a second factor.
    """

    scope: str = ""
    admins: bool = False
    public: bool = False
    session: bool = False
    own: bool = False

    def check(self, actor: Actor) -> None:
        """Let an actor pass.

        Raises:
            Problem: ``access.scope``, ``access.role``, ``access.session``, or what hinders the session.
        """
        if self.session and actor.session is None:
            raise Problem("access.session", "An API key cannot do this: sign in.")
        if actor.hindrance and not self.own:
            raise Problem(actor.hindrance)
        if self.scope and self.scope not in actor.scopes:
            raise Problem("access.scope", f"The API key lacks the scope {self.scope}: {SCOPES[self.scope]}")
        if self.admins and actor.role not in ADMINS:
            raise Problem("access.role", "Only people with the role owner or admin may do this.")

    @property
    def text(self) -> str:
        """What OpenAPI says of it."""
        if self.public:
            return "Needs no API key."
        if self.session:
            whose = " of an owner or admin" if self.admins else ""
            return f"Needs a session{whose}: no API key will do."
        needs = f"Needs an API key with the scope `{self.scope}`" if self.scope else "Needs any API key"
        return f"{needs}, of an owner or admin." if self.admins else f"{needs}."


_PUBLIC = Access(public=True)
_ANY = Access()
_READ = Access("faxes:read")
_SEND = Access("faxes:send")
_CONTENT = Access("content")
_BOXES = Access("boxes")
_TARGETS = Access("boxes", admins=True)
_NUMBERS = Access("numbers", admins=True)
_ROUTES = Access("routes", admins=True)
_WEBHOOKS = Access("webhooks", admins=True)
_POLICY = Access("admin", admins=True)
_KEYS = Access("admin")
_MEMBERS = Access("admin", admins=True)
_SESSION = Access(session=True, own=True)
_SIGNED_IN = Access(session=True)
_SIGNED_IN_ADMIN = Access(session=True, admins=True)

ACCESS: dict[str, Access] = {
    "get_version": _ANY,
    "get_sbom": _ANY,
    "get_self": Access(own=True),
    "create_session": _PUBLIC,
    "recover_session": _PUBLIC,
    "list_sessions": Access("admin", own=True),
    "switch_tenant": _SESSION,
    "end_session": _SESSION,
    "end_all_sessions": _SESSION,
    "unlock_session": _SESSION,
    "ask_passkey": _PUBLIC,
    "create_passkey_session": _PUBLIC,
    "list_passkeys": Access("admin", own=True),
    "ask_new_passkey": _SESSION,
    "create_passkey": _SESSION,
    "rename_passkey": _SESSION,
    "remove_passkey": _SESSION,
    "remove_own_password": _SESSION,
    "begin_oidc": _PUBLIC,
    "end_oidc": _PUBLIC,
    "revoke_session": Access("admin", own=True),
    "get_me": Access(own=True),
    "set_up_person": _PUBLIC,
    "change_password": _SESSION,
    "renew_recovery_code": _SESSION,
    "enrol_totp": _SESSION,
    "confirm_totp": _SESSION,
    "remove_totp": _SESSION,
    "recover_keys": _SESSION,
    "renew_keys": Access(session=True),
    "get_notices": _KEYS,
    "choose_notices": _KEYS,
    "ask_stop": _PUBLIC,
    "stop_notices": _PUBLIC,
    "list_users": _MEMBERS,
    "find_colleague": _BOXES,
    "invite_user": _MEMBERS,
    "get_user": _MEMBERS,
    "change_user": _MEMBERS,
    "deactivate_user": _MEMBERS,
    "reset_user": _MEMBERS,
    "list_problems": _PUBLIC,
    "get_problem": _PUBLIC,
    "create_document": _SEND,
    "get_document": _SEND,
    "render_documents": _CONTENT,
    "get_page_set": _CONTENT,
    "get_page_of_set": _CONTENT,
    "create_fax": _SEND,
    "send_document": _SEND,
    "list_faxes": _READ,
    "get_fax": _READ,
    "cancel_fax": _SEND,
    "resend_fax": _SEND,
    "delete_fax": Access("faxes:delete"),
    "list_copies": _READ,
    "list_links": _READ,
    "revoke_link": _SEND,
    "release_fax": _SEND,
    "list_attempts": _READ,
    "get_attempt": _READ,
    "get_trace": _CONTENT,
    "list_pages": _READ,
    "get_page": _CONTENT,
    "export_page": _CONTENT,
    "get_content": _CONTENT,
    "follow_fax": _READ,
    "follow_all": _READ,
    "create_batch": _SEND,
    "list_batches": _READ,
    "get_batch": _READ,
    "pause_batch": _SEND,
    "resume_batch": _SEND,
    "cancel_batch": _SEND,
    "list_boxes": _BOXES,
    "create_box": _BOXES,
    "get_box": _BOXES,
    "change_box": _BOXES,
    "delete_box": _BOXES,
    "list_grants": _BOXES,
    "create_grant": _BOXES,
    "get_grant": _BOXES,
    "revoke_grant": _BOXES,
    "list_box_keys": _BOXES,
    "rotate_box": _BOXES,
    "rewrap_box": _BOXES,
    "hand_over_box": _BOXES,
    "escrow_box": _BOXES,
    "get_escrow": _ANY,
    "set_escrow": _SIGNED_IN_ADMIN,
    "end_escrow": _SIGNED_IN_ADMIN,
    "list_escrow_requests": _ANY,
    "create_escrow_request": _SIGNED_IN_ADMIN,
    "get_escrow_request": _ANY,
    "approve_escrow_request": _SIGNED_IN,
    "deny_escrow_request": _SIGNED_IN,
    "withdraw_escrow_request": _SIGNED_IN,
    "open_escrow_request": _SIGNED_IN_ADMIN,
    "forward_fax": _SEND,
    "list_forwarding_rules": _BOXES,
    "create_forwarding_rule": _BOXES,
    "get_forwarding_rule": _BOXES,
    "delete_forwarding_rule": _BOXES,
    "list_targets": _BOXES,
    "create_target": _TARGETS,
    "get_target": _BOXES,
    "change_target": _TARGETS,
    "delete_target": _TARGETS,
    "test_target": _TARGETS,
    "list_delivery_rules": _BOXES,
    "create_delivery_rule": _BOXES,
    "get_delivery_rule": _BOXES,
    "delete_delivery_rule": _BOXES,
    "deliver_fax": _SEND,
    "list_fax_parcels": _READ,
    "list_parcels": _READ,
    "get_parcel": _READ,
    "retry_parcel": _SEND,
    "cancel_parcel": _SEND,
    "list_numbers": _NUMBERS,
    "create_number": _NUMBERS,
    "get_number": _NUMBERS,
    "change_number": _NUMBERS,
    "delete_number": _NUMBERS,
    "list_number_rules": _NUMBERS,
    "create_number_rule": _NUMBERS,
    "get_number_rule": _NUMBERS,
    "delete_number_rule": _NUMBERS,
    "list_routes": _ROUTES,
    "create_route": _ROUTES,
    "get_route": _ROUTES,
    "change_route": _ROUTES,
    "delete_route": _ROUTES,
    "simulate_routes": _ROUTES,
    "list_lines": Access("routes"),
    "list_destinations": _ROUTES,
    "get_destination": _ROUTES,
    "change_destination": _ROUTES,
    "delete_destination": _ROUTES,
    "list_machines": _ROUTES,
    "get_machine": _ROUTES,
    "change_machine": _ROUTES,
    "delete_machine": _ROUTES,
    "list_devices": _BOXES,
    "create_device": _BOXES,
    "check_devices": _BOXES,
    "get_device": _BOXES,
    "change_device": _BOXES,
    "delete_device": _BOXES,
    "rotate_device": _BOXES,
    "revoke_device": _BOXES,
    "list_webhooks": _WEBHOOKS,
    "create_webhook": _WEBHOOKS,
    "get_webhook": _WEBHOOKS,
    "change_webhook": _WEBHOOKS,
    "delete_webhook": _WEBHOOKS,
    "rotate_webhook": _WEBHOOKS,
    "test_webhook": _WEBHOOKS,
    "replay_webhook": _WEBHOOKS,
    "replay_delivery": _WEBHOOKS,
    "list_deliveries": _WEBHOOKS,
    "get_webhook_keys": _PUBLIC,
    "get_usage": Access("usage"),
    "list_calls": Access("usage"),
    "export_box": _CONTENT,
    "export_evidence": _POLICY,
    "get_policy": _POLICY,
    "change_policy": _POLICY,
    "preview_policy": _POLICY,
    "get_processing_records": _POLICY,
    "get_certificate": _POLICY,
    "list_holds": _POLICY,
    "create_hold": _POLICY,
    "get_hold": _POLICY,
    "release_hold": _POLICY,
    "list_erasures": _POLICY,
    "create_erasure": _POLICY,
    "get_erasure": _POLICY,
    "list_audit": _POLICY,
    "get_checkpoint": _POLICY,
    "get_audit_proof": _POLICY,
    "export_audit": _POLICY,
    "get_audit_keys": _PUBLIC,
    "list_api_keys": _KEYS,
    "create_api_key": _KEYS,
    "get_api_key": _KEYS,
    "revoke_api_key": _KEYS,
    "call_in": Access("sandbox"),
}
"""Operation -> what it asks of its caller."""


def sees_all(actor: Actor) -> bool:
    """Whether an actor sees the records of everybody in the tenant; never the content of what is not theirs."""
    return actor.role in ADMINS and "admin" in actor.scopes
