"""Mail and SMS."""

from __future__ import annotations

import strawberry
from strawberry.scalars import JSON

from resolvers import messages
from resolvers.messages import MessageChannel
from schema.directives import requires
from schema.info import Info
from schema.inputs import given

strawberry.enum(MessageChannel, description="How a message reaches somebody.")


@strawberry.type(description="A message that was handed over to be delivered.")
class SentMessage:
    id: strawberry.ID | None = strawberry.field(description="The provider's, where it gave one.")
    status: str = strawberry.field(
        description="`SENT`: its provider has taken it; `UNKNOWN`: it may have, so that it is not sent again; "
        "`FAILED`: an earlier try with the same idempotency key was refused."
    )
    channel: MessageChannel


@strawberry.input(description="A mail. It is from the company's own address.")
class SendEmailInput:
    to: list[str] = strawberry.field(
        description="1 to 100 addresses. Each gets a mail of their own and sees no other address."
    )
    subject: str = strawberry.field(description="One line.")
    text: str | None = strawberry.field(default=strawberry.UNSET, description="This or `html`, or both.")
    html: str | None = strawberry.field(
        default=strawberry.UNSET, description="Shown instead of `text` where that can be done."
    )


@strawberry.input(description="A mail that is made from a template.")
class SendTemplateEmailInput:
    to: list[str] = strawberry.field(
        description="1 to 100 addresses. Each gets a mail of their own and sees no other address."
    )
    template_id: strawberry.ID = strawberry.field(description="A dynamic template's: `d-` and 32 digits.")
    data: JSON = strawberry.field(description="An object: what the template is filled with, at most 100 kB.")


@strawberry.input(description="A text message. It is from the company's own number.")
class SendSmsInput:
    to: str = strawberry.field(description="A number of E.164, such as +355691234567.")
    body: str = strawberry.field(description="At most 1600 characters; longer ones than 160 are paid as several.")


@strawberry.type
class MessageMutation:
    @strawberry.mutation(
        description="Sends a mail, at most once for each idempotency key.", directives=[requires("comms:send")]
    )
    async def send_email(self, info: Info, input: SendEmailInput) -> SentMessage | None:
        return await messages.send_email(
            info.context, to=input.to, subject=input.subject, text=given(input.text), html=given(input.html)
        )

    @strawberry.mutation(
        description="Sends a mail made from a template, at most once for each idempotency key.",
        directives=[requires("comms:send")],
    )
    async def send_template_email(self, info: Info, input: SendTemplateEmailInput) -> SentMessage | None:
        return await messages.send_template_email(
            info.context, to=input.to, template_id=input.template_id, data=input.data
        )

    @strawberry.mutation(
        description="Sends a text message, at most once for each idempotency key.", directives=[requires("comms:send")]
    )
    async def send_sms(self, info: Info, input: SendSmsInput) -> SentMessage | None:
        return await messages.send_sms(info.context, to=input.to, body=input.body)
