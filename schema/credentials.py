"""Verifiable credentials: who holds which, and what a verifier says of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from datasources.mongo import CredentialStatus
from resolvers import credentials, verifications
from resolvers.credentials import CredentialWanted
from resolvers.users import UserById
from schema.directives import BY_ID, requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.users import User

strawberry.enum(
    CredentialStatus,
    description="OFFERED: nobody is known to have taken it yet; UNKNOWN: whether it came into being cannot be told.",
)


@strawberry.type(description="A signed statement about somebody, which they hold in their wallet.", directives=[BY_ID])
class Credential:
    id: strawberry.ID
    type: list[str] = strawberry.field(description="From the most general to the most special.")
    format: str = strawberry.field(description="Such as `jwt_vc_json`.")
    issuer: str = strawberry.field(description="The issuer's decentralised identifier.")
    subject: str | None = strawberry.field(description="The holder's decentralised identifier, once it is known.")
    status: CredentialStatus = strawberry.field(description="As of now.")
    issued_at: datetime | None
    expires_at: datetime | None
    claims: JSON = strawberry.field(description="What it says about its holder.")
    offer_url: str | None = strawberry.field(
        description="What a wallet opens to take it, as long as it is offered: whoever has it can.",
        directives=[requires("identity:issue")],
    )
    holder: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserById,
        key="user_id",
        description="Whose wallet it was issued into.",
        directives=[requires("core:read")],
    )


@strawberry.type(description="A decentralised identifier.")
class Did:
    did: str
    alias: str | None
    key_id: str | None = strawberry.field(description="What the wallet calls its key.")
    is_default: bool = strawberry.field(description="Whether its wallet uses it unless told otherwise.")


@strawberry.type(description="What was checked, and whether it is as it should be.")
class PolicyResult:
    policy: str = strawberry.field(description="Such as `signature` or `expired`.")
    passed: bool
    detail: JSON | None = strawberry.field(description="On what grounds.")


@strawberry.type(description="A check of a credential, or a request to present one that will be checked.")
class CredentialVerification:
    id: strawberry.ID
    verified: bool | None = strawberry.field(description="Null while nothing has been presented, and once it is over.")
    request_url: str | None = strawberry.field(description="What the holder's wallet is to open, as a link or QR code.")
    policies: list[PolicyResult] = strawberry.field(description="Everything that was checked.")


@strawberry.type(description="Credentials as they were shown to a verifier.")
class Presentation:
    id: strawberry.ID = strawberry.field(description="The verifier's session.")
    redirect_uri: str | None = strawberry.field(description="Where the verifier sends the holder now.")
    verified: bool | None = strawberry.field(description="Null where only another verifier knows.")


@strawberry.input(description="A credential to be signed.")
class IssueCredentialInput:
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Into whose wallet it goes. Without one it is offered to whoever opens its `offerUrl`.",
    )
    type: str = strawberry.field(description="A name such as MembershipCredential.")
    claims: JSON = strawberry.field(description="An object. Who its subject and issuer are is not a claim.")

    def wanted(self) -> CredentialWanted:
        return CredentialWanted(self.type, self.claims, given(self.user_id))


@strawberry.input(description="What is to be checked.")
class VerifyCredentialInput:
    credential_type: str = strawberry.field(description="A name such as MembershipCredential.")
    credential: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The signed token, checked at once. Without it, somebody is asked to present one.",
    )
    policies: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Some of `signature`, `expired`, `not-before`, `credential-status`, `allowed-issuer` (by us); the "
        "first is always checked, and the first four unless told otherwise.",
    )


@strawberry.input(description="What is to be shown to a verifier.")
class CreatePresentationInput:
    user_id: strawberry.ID = strawberry.field(description="Whose wallet presents.")
    credential_ids: list[strawberry.ID]
    request_url: str = strawberry.field(
        description="A request (`openid4vp://…`) of the gateway's verifier, or of another that wallets may present to."
    )


@strawberry.type
class CredentialQuery:
    @strawberry.field(description="Credentials that were issued, newest first.", directives=[requires("identity:read")])
    async def credentials(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        holder_id: strawberry.ID | None = strawberry.UNSET,
    ) -> Connection[Credential] | None:
        return await credentials.credentials(info.context, first=first, after=given(after), holder_id=given(holder_id))

    @strawberry.field(description="One credential.", directives=[requires("identity:read")])
    async def credential(self, info: Info, id: strawberry.ID) -> Credential | None:
        return await credentials.credential(info.context, id)

    @strawberry.field(
        description="How a request of `verifyCredential` stands: open for five minutes, its result kept for one.",
        directives=[requires("identity:read")],
    )
    async def credential_verification(self, info: Info, id: strawberry.ID) -> CredentialVerification | None:
        return await verifications.verification(info.context, id)

    @strawberry.field(
        description="Identifiers: the issuer's, and those in the wallets of the newest people who have one.",
        directives=[requires("identity:staff")],
    )
    async def dids(self, info: Info) -> list[Did] | None:
        return await credentials.dids(info.context)


@strawberry.type
class CredentialMutation:
    @strawberry.mutation(
        description="Signs a credential, into its holder's wallet or to be taken by whoever opens its offer.",
        directives=[requires("identity:issue")],
    )
    async def issue_credential(self, info: Info, input: IssueCredentialInput) -> Credential | None:
        return await credentials.issue_credential(info.context, input.wanted())

    @strawberry.mutation(
        description="Checks a credential at once, or asks for a presentation of one.",
        directives=[requires("identity:read")],
    )
    async def verify_credential(self, info: Info, input: VerifyCredentialInput) -> CredentialVerification | None:
        return await verifications.verify_credential(
            info.context, input.credential_type, given(input.credential), given(input.policies)
        )

    @strawberry.mutation(
        description="Has somebody's wallet present credentials to a verifier that asks for them.",
        directives=[requires("identity:read")],
    )
    async def create_presentation(self, info: Info, input: CreatePresentationInput) -> Presentation | None:
        return await credentials.create_presentation(
            info.context, input.user_id, input.credential_ids, input.request_url
        )
