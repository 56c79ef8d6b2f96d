"""Every problem that the API may answer with: one table, from which docs/errors.md and GET /v1/problems are made."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """What a problem means.

    Attributes:
        status: the HTTP status of the answer.
        title: what it is, the same every time.
        action: what the caller can do.
        retryable: whether the same request may succeed later.
    """

    status: int
    title: str
    action: str
    retryable: bool = False


_TRY_LATER = "Try again; wait as long as Retry-After says, if it is there."
_UPLOAD = "Correct the document and upload it again."
_LIST = "Ask for the list of what there is."

_PROVIDER = "Ask whoever runs the gateway or the provider."

CODES: dict[str, Code] = {
    # Requests as such
    "request.invalid": Code(400, "The request is not as the API describes it", "Correct the fields named in `errors`."),
    "request.http": Code(400, "That is no HTTP", "Send nothing after a body but another request."),
    "request.cursor": Code(400, "The cursor is none of this list", "Begin again without a cursor."),
    "request.not_found": Code(404, "There is no such thing, or none that you may see", _LIST),
    "request.method": Code(405, "The address does not know this method", "Use one of the methods in Allow."),
    "request.timeout": Code(408, "The body did not arrive in time", _TRY_LATER, retryable=True),
    "request.incomplete": Code(400, "The body ended before it was whole", "Send it again, whole.", retryable=True),
    "request.too_large": Code(413, "The body is larger than allowed", "Send less at once."),
    "request.media_type": Code(415, "The body is of a type that is not taken here", "Name its type in Content-Type."),
    "request.range": Code(416, "The range is outside of the content", "Ask for octets that Content-Range has."),
    "request.precondition": Code(412, "The thing was changed since", "Read it again, then change it."),
    "request.precondition_required": Code(428, "The change needs If-Match", "Send the ETag of what you read."),
    "version.changed": Code(412, "The thing was changed since", "Read it again, then change it."),
    "idempotency.key": Code(400, "The Idempotency-Key is none", "Send 1 to 255 visible ASCII characters."),
    "idempotency.mismatch": Code(409, "The Idempotency-Key was used for another request", "Use a new key."),
    "idempotency.in_progress": Code(
        409, "A request with this Idempotency-Key is under way", "Send it again in a second.", retryable=True
    ),
    # Who asks
    "auth.missing": Code(401, "There is no API key and no session", "Send `Authorization: Bearer KEY`, or sign in."),
    "auth.invalid_key": Code(401, "The API key or session is not valid", "Use another key, or sign in again."),
    "auth.throttled": Code(429, "Too many wrong keys came from this address", _TRY_LATER, retryable=True),
    "auth.csrf": Code(403, "Another site may have sent this", "Send `X-Faxgw-Session: 1`, from our own page."),
    "auth.failed": Code(401, "The address, the password or the code is wrong", "Try again, or use the recovery code."),
    "auth.locked": Code(429, "Too many tries to sign in failed", _TRY_LATER, retryable=True),
    "auth.code_needed": Code(401, "There is a second factor", "Give `code`, or `recovery_code` in its place."),
    "auth.code_wrong": Code(401, "The code is wrong, over or was used", "Wait for the authenticator's next one."),
    "auth.second_factor": Code(403, "The tenant requires a second factor", "Set one up: POST /v1/me/totp."),
    "auth.password_needed": Code(
        403, "The tenant wants the password besides the passkey", "POST /v1/sessions/current:unlock with it."
    ),
    "session.provider": Code(
        403, "An identity provider lets people into its own tenants only", "Sign in by password or passkey."
    ),
    "passkey.off": Code(409, "There are no passkeys here", "Have `people.url` configured."),
    "passkey.challenge": Code(401, "The challenge is none of ours, over, or was answered before", "Begin again."),
    "passkey.origin": Code(401, "The passkey was used on another site", "Go to the address in `people.url`."),
    "passkey.host": Code(401, "The passkey belongs to another host", "Use one that was registered here."),
    "passkey.unknown": Code(401, "There is no such passkey of yours", "Use another one, or the password."),
    "passkey.counter": Code(401, "The passkey was copied", "Remove it, and register a new one."),
    "passkey.refused": Code(401, "The passkey's answer is not valid", "Begin again, with PIN or finger."),
    "passkey.exists": Code(409, "The passkey is registered already", "Use it."),
    "passkey.too_many": Code(409, "There are too many passkeys", "Remove one first."),
    "passkey.last": Code(409, "It is the last way to sign in", "Add another passkey, or a password, first."),
    "oidc.state": Code(401, "The sign-in is none of this browser's, over, or was finished before", "Begin again."),
    "oidc.denied": Code(401, "The identity provider did not let you in", "Ask whoever runs the provider."),
    "oidc.unavailable": Code(503, "The identity provider cannot be used now", _TRY_LATER, retryable=True),
    "oidc.algorithm": Code(401, "The provider's token is signed in a way that is not taken", _PROVIDER),
    "oidc.signature": Code(401, "The provider's token is not signed by it", _PROVIDER),
    "oidc.issuer": Code(401, "The token is of another provider", _PROVIDER),
    "oidc.audience": Code(401, "The token is for another program", _PROVIDER),
    "oidc.nonce": Code(401, "The token is of another sign-in", "Begin again."),
    "oidc.expired": Code(401, "The provider's token is over", "Begin again; or have the clocks set."),
    "oidc.not_yet": Code(401, "The provider's token is not valid yet", "Have the clocks set."),
    "oidc.claims": Code(401, "The provider's token lacks something, or has it in the wrong form", _PROVIDER),
    "oidc.email": Code(403, "The provider vouches for no mail address that is taken here", _PROVIDER),
    "oidc.no_member": Code(403, "Nobody of that address is a member", "Have an owner or admin invite you."),
    "access.address": Code(403, "This address may not connect", "Have the network added to `api.allowed`."),
    "access.scope": Code(403, "The API key lacks a scope", "Use a key that has the scope."),
    "access.session": Code(403, "An API key cannot do this", "Sign in: POST /v1/sessions."),
    "access.role": Code(403, "Only owners and admins may do this", "Ask one of them."),
    "access.not_yours": Code(403, "It is somebody else's", "Ask the owner of the box."),
    "key.locked": Code(
        423,
        "What was given does not open content",
        "Use a key with the scope `content`, or unlock; to send again what was sent before, upload it again.",
    ),
    "key.secret": Code(422, "The secret opens nothing that is locked", "Give another one of before the reset."),
    "key.open": Code(409, "Nothing is locked", "There is nothing to do."),
    "session.no_tenant": Code(403, "The session is in no tenant yet", "POST /v1/sessions/current:switch."),
    "rate.limited": Code(429, "The API key makes too many requests", _TRY_LATER, retryable=True),
    # Documents
    "document.unknown": Code(422, "There is no such document", "Upload it again."),
    "document.empty": Code(422, "The document is empty", _UPLOAD),
    "document.unreadable": Code(422, "The document is of no kind that can be read", _UPLOAD),
    "document.missing": Code(422, "The document is missing", "Upload it again."),
    "document.encrypted": Code(422, "The document is encrypted", "Take the password off and upload it again."),
    "document.damaged": Code(422, "The document is damaged", _UPLOAD),
    "document.no_pages": Code(422, "The document has no pages", _UPLOAD),
    "document.characters": Code(422, "The text has characters that cannot be drawn", "Send it as PDF."),
    "document.too_large": Code(422, "The document is larger than allowed", "Send it in parts."),
    "document.timeout": Code(422, "The document takes too long to read", "Make it simpler, or send it in parts."),
    "document.crashed": Code(422, "The document ended the program that reads it", _UPLOAD),
    "document.spent": Code(422, "The document was sent, and is sealed to its owner now", "Upload it again."),
    "document.closed": Code(503, "The gateway is stopping", _TRY_LATER, retryable=True),
    "document.cover": Code(422, "The cover page cannot be drawn", "Correct the template."),
    "document.macros": Code(422, "The document has macros", "Save it without them, or send it as PDF."),
    "document.unsupported": Code(422, "This gateway cannot read such documents", "Send it as PDF."),
    # Faxes
    "number.invalid": Code(422, "That is no telephone number", "Write it with country code, such as +15550100."),
    "number.denied_by_policy": Code(403, "The tenant's policy denies this number", "Ask an admin to allow it."),
    "number.taken": Code(409, "The number leads to a box already", "Change that entry, or ask the operator."),
    "number.line": Code(422, "The line is for other tenants only", "GET /v1/lines lists yours; or ask the operator."),
    "quota.pages": Code(429, "The quota of pages is used up", "Wait for the next hour or day.", retryable=True),
    "quota.calls": Code(429, "The quota of calls is used up", "Wait for the next hour or day.", retryable=True),
    "quota.pages_per_fax": Code(422, "The fax has too many pages", "Send it in parts."),
    "quota.destinations": Code(422, "The batch has too many numbers", "Send it in parts."),
    "schedule.too_far": Code(422, "The time is too far ahead", "Choose an earlier time."),
    "schedule.no_zone": Code(422, "The time has no zone", "Write it with an offset, such as Z."),
    "schedule.never": Code(422, "No hours are left in which the call may begin", "Widen the hours."),
    "box.unknown": Code(404, "There is no such box of yours", "GET /v1/boxes lists them."),
    "box.in_use": Code(409, "Something is in the box, or leads to it", "Take it out first."),
    "box.default": Code(409, "The default box stays", "Give it another name instead."),
    "box.name": Code(409, "There is a box of that name", "Choose another name."),
    "box.owner": Code(422, "That member cannot look after the box", "Choose somebody who manages it."),
    "grant.needless": Code(422, "They have these rights already", "Give them to somebody else."),
    "grant.expired": Code(422, "The time is in the past", "Give a later `expires_at`."),
    "escrow.off": Code(409, "The tenant has no escrow", "Ask a reader of the box, or have an owner set one up."),
    "escrow.threshold": Code(422, "So many trustees cannot decide", "Give 2 to 10, at least 2 of whom must approve."),
    "escrow.changed": Code(409, "The escrow was set up by somebody else", "Read it again."),
    "escrow.unknown": Code(404, "There is no such request for access", "GET /v1/escrow/requests lists them."),
    "escrow.needless": Code(409, "You have rights to the box already", "Open it, or ask its owner for more."),
    "escrow.not_covered": Code(409, "The trustees have no shares of the box", "Have a reader open a fax in it."),
    "escrow.too_few": Code(409, "Too few trustees could approve", "Have an owner name others."),
    "escrow.exists": Code(409, "There is such a request already", "Wait for its answers, or withdraw it."),
    "escrow.own_request": Code(403, "Nobody answers their own request", "Have other trustees answer."),
    "escrow.answered": Code(409, "The request was answered already", "GET /v1/escrow/requests/ID says how."),
    "escrow.pending": Code(409, "Too few trustees have approved", "Wait for more of them.", retryable=True),
    "escrow.over": Code(409, "The request is over", "Ask again, if it is needed still."),
    "escrow.share": Code(409, "A share was altered where it is stored", "Have an owner set the escrow up anew."),
    "rule.circular": Code(422, "A box does not forward to itself", "Choose another box."),
    "fax.unknown": Code(404, "There is no such fax", _LIST),
    "fax.state": Code(409, "The fax is past the point where that is possible", "Read the state of the fax."),
    "fax.running": Code(409, "The fax has not ended", "Cancel it, and wait for its end.", retryable=True),
    "storage.none": Code(409, "The tenant stores nothing", "Leave `storage` out, or have the policy changed."),
    "hold.active": Code(409, "A legal hold is over the fax", "Have the hold released, if it may be."),
    "batch.unknown": Code(404, "There is no such batch", _LIST),
    "batch.state": Code(409, "The batch is past the point where that is possible", "Read the state of the batch."),
    "content.gone": Code(410, "The content was not kept", "Nothing brings it back."),
    "content.damaged": Code(
        500, "What is stored is damaged", "Have the operator restore it from a backup.", retryable=True
    ),
    "content.none": Code(404, "The fax has no pages yet", "Wait for its events.", retryable=True),
    # Set-up
    "rule.exists": Code(409, "There is such a rule already", "Change or delete that one."),
    "route.exists": Code(409, "There is such a route already", "Change or delete that one."),
    "route.line": Code(422, "There is no such line", "GET /v1/lines lists them."),
    "policy.denied": Code(403, "The tenant's policy does not allow it", "Ask an admin to change the policy."),
    "policy.invalid": Code(422, "The policy cannot be kept", "Correct the fields named in `detail`."),
    "user.unknown": Code(
        404, "There is no such member", "GET /v1/users lists them to admins; POST /v1/colleagues:find finds one."
    ),
    "user.exists": Code(409, "There is such a member already", "Change that entry."),
    "user.last_owner": Code(409, "A tenant has an owner", "Make somebody else one first."),
    "user.elsewhere": Code(409, "They are members of other tenants, too", "Have them use their recovery code."),
    "people.email": Code(422, "That is no mail address", "Write it as NAME@HOST."),
    "people.password": Code(422, "The password is too short or too long", "Choose one of 10 to 1000 characters."),
    "people.recovery_code": Code(422, "The recovery code is wrong", "Correct it, or leave it out."),
    "people.set_up_code": Code(422, "The set-up code is not good", "Ask an owner or admin for a new one."),
    "people.no_code": Code(409, "There is no second factor to confirm", "POST /v1/me/totp first."),
    "keys.last": Code(409, "The key would revoke itself", "Use another key to revoke this one."),
    "keys.life": Code(403, "The key would outlive the one that makes it", "Give an earlier `expires_at`."),
    "target.unknown": Code(404, "There is no such target", "GET /v1/targets lists them."),
    "target.name": Code(409, "There is a target of that name", "Choose another name."),
    "target.secret": Code(422, "The target's secret is needed anew", "Give `secret`; `{}` for none."),
    "target.unprotected": Code(
        422, "Personal data would lie unprotected there", "Have the target encrypt, get links only, or attest it."
    ),
    "parcel.exists": Code(409, "The fax was delivered there, or is on its way", "GET /v1/faxes/ID/parcels says how."),
    "parcel.state": Code(409, "The parcel has ended otherwise", "GET /v1/parcels/ID says how."),
    "target.recipient": Code(422, "A recipient has no public key of age", "Give age1..., or an SSH public key."),
    "target.certificate": Code(422, "Nothing can be encrypted to a certificate", "Give a valid one for mail, in PEM."),
    "target.pdf_password": Code(422, "The password for PDFs is too easy, or too long", "Give 16 letters or more."),
    "mail.parts": Code(422, "The message has too many parts", "Send fewer attachments."),
    "mail.depth": Code(422, "The message has parts within parts, too deep", "Send the attachments themselves."),
    "mail.header": Code(422, "A header of the message cannot be read", "Have the program that wrote it mended."),
    "mail.encoding": Code(422, "An attachment cannot be decoded", "Send it in base64."),
    "mail.encrypted": Code(422, "The message is encrypted, or signed as a block", "Send it without."),
    "mail.winmail": Code(422, "The message is in Outlook's own form", "Have it sent as HTML or plain text."),
    "mail.empty": Code(422, "The message has nothing to be faxed", "Attach a document, or write a text."),
    "mail.no_number": Code(422, "The subject has no number", "Write the number alone into the subject."),
    "device.name": Code(409, "There is a device of that name", "Choose another name."),
    "number.denied_to_device": Code(
        403, "The device may not send to that number", "Have its owner change the numbers that it may send to."
    ),
    "link.not_found": Code(404, "There is no such link, or not any more", "Ask whoever sent it for another."),
    "webhook.not_found": Code(404, "There is no such webhook", "GET /v1/webhooks lists them."),
    "webhook.url": Code(422, "The webhook's address cannot be used", "Give an https address."),
    "webhook.address": Code(422, "The webhook leads into a private network", "Have `webhooks.allow_private` name it."),
    "webhook.events": Code(422, "There are no such events", "Use names of events, or prefixes such as fax.*."),
    "webhook.too_many": Code(409, "There are too many webhooks", "Delete one first."),
    "webhook.overlap": Code(422, "The old secret cannot be good for so long", "Give fewer hours."),
    "webhook.signature": Code(409, "The webhook has no secret of its own", "Check messages by the published key."),
    "webhook.disabled": Code(409, "The webhook is disabled", "Enable it first."),
    # Targets: folders outside
    "target.plain_ftp": Code(422, "FTP without TLS does not exist here", "Use `sftp`, `ftps` or `scp`."),
    "target.address": Code(422, "Targets may not lead there", "Use a public address, or have the operator allow it."),
    "target.folder": Code(422, "The folder is not opened for this", "Use one that the gateway's operator has opened."),
    "target.endpoint": Code(422, "The endpoint of a store is no address", "Give https://HOST, or https://HOST:PORT."),
    "target.credentials": Code(422, "The store wants a key", "Give `access_key_id`, and its secret as `password`."),
    "target.authorities": Code(422, "These are no certificates", "Give them in PEM, one after the other."),
    "target.host_keys": Code(422, "That is no public key of a host", "Give it as `:test` or ssh-keyscan show it."),
    "target.private_key": Code(422, "The private key cannot be used", "Give it in OpenSSH's form, not locked."),
    "sandbox.none": Code(404, "There is no simulated line", "Configure a `sim:` line."),
    "sandbox.no_line": Code(409, "No simulated line awaits a call", _TRY_LATER, retryable=True),
    # Our side
    "audit.altered": Code(
        409, "The audit log is not what was signed", "Export it, keep the file, and ask whoever runs the gateway."
    ),
    "service.busy": Code(503, "Too many requests are under way", _TRY_LATER, retryable=True),
    "service.unavailable": Code(503, "The service cannot do this at the moment", _TRY_LATER, retryable=True),
    "storage.full": Code(507, "There is no room for more", "Free space on the gateway's disk.", retryable=True),
    "storage.failed": Code(503, "The archive cannot be reached", _TRY_LATER, retryable=True),
    "internal.error": Code(500, "A fault in the gateway", "Report the `id` to the operator.", retryable=True),
}
"""Code -> what it means. Codes of causes of failed calls are in docs/retry.md."""


def code_of(code: str) -> Code:
    """Return what a code means; one that is not in the table is a fault of ours."""
    return CODES.get(code, CODES["internal.error"])


def as_markdown() -> str:
    """Return docs/errors.md."""
    rows = [
        f"| `{code}` | {each.status} | {each.title} | {'yes' if each.retryable else 'no'} | {each.action} |"
        for code, each in CODES.items()
    ]
    return _HEAD + "\n".join(rows) + "\n"


_HEAD = """# Problems

Every error of the API is `application/problem+json` (RFC 9457):

```json
{"type": "/v1/problems/number.invalid", "title": "That is no telephone number", "status": 422,
 "detail": "...", "code": "number.invalid", "retryable": false, "action": "..."}
```

`code` stays as it is from version to version; `detail` is for people. `retryable` says whether the same request may
succeed later. `request.invalid` has `errors` besides: a list of `pointer` (a JSON pointer into the body after `#`, or
where a parameter stands and its name) and `detail`. `internal.error` has `id`, by which the operator finds it in the
log. `GET /v1/problems` gives this table as JSON.

| code | status | what it is | retryable | what to do |
|---|---|---|---|---|
"""
