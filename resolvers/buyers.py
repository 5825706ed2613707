"""Whose an order or an invoice is: the user behind a customer of the shop or of the books, if the row lies in their
client's part of that backend. And who an employee is, in the same way.

The customer alone does not say it. Medusa finds guests by e-mail, so that one customer there may have bought from
several clients; and a company may invoice somebody whom another client's user is linked to.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from datasources.mongo import BackendScopeRecord, BuyerRecord, UserRecord
from datasources.mongo.users import email_key
from resolvers import users
from resolvers.context import Loader

RowKey = tuple[str, str]
"""A customer, and where the row lies: in which sales channel, or in which company's books."""


class _Buyers(Loader[RowKey, UserRecord | None]):
    async def batch_load_fn(self, keys: list[RowKey]) -> list[UserRecord | None]:
        found = await self.fetch(list(dict.fromkeys(customer_id for customer_id, _ in keys)))
        whose = {
            (customer_id, place): buyer.user
            for buyer in found
            if users.may_see(self.ctx.principal, buyer.user)
            for customer_id in self.customer_ids(buyer.user)
            for place in self.places(buyer.scope)
        }
        return [whose.get(key) for key in keys]

    @abstractmethod
    async def fetch(self, customer_ids: list[str]) -> list[BuyerRecord]:
        """The users who are these customers."""

    @abstractmethod
    def customer_ids(self, user: UserRecord) -> Sequence[str]:
        """What the backend knows a user as."""

    @abstractmethod
    def places(self, scope: BackendScopeRecord) -> Sequence[str]:
        """Where a row has to lie to be of a client's user."""


class BuyerOfOrder(_Buyers):
    """Who ordered, by Medusa's customer and the sales channel; a user whom the principal may see."""

    async def fetch(self, customer_ids: list[str]) -> list[BuyerRecord]:
        return await self.sources.mongo.buyers_by_medusa_customer_ids(customer_ids)

    def customer_ids(self, user: UserRecord) -> Sequence[str]:
        return user.medusa_customer_ids

    def places(self, scope: BackendScopeRecord) -> Sequence[str]:
        return scope.medusa_sales_channel_ids


class BuyerOfInvoice(_Buyers):
    """Who is invoiced, by ERPNext's customer and the company; a user whom the principal may see."""

    async def fetch(self, customer_ids: list[str]) -> list[BuyerRecord]:
        return await self.sources.mongo.buyers_by_erp_customer_ids(customer_ids)

    def customer_ids(self, user: UserRecord) -> Sequence[str]:
        return [user.linked_accounts.erp_customer_id or ""]

    def places(self, scope: BackendScopeRecord) -> Sequence[str]:
        return [scope.erp_company or ""]


class UserOfEmployee(_Buyers):
    """Who an employee is, by the address that ERPNext knows and the company; a user whom the principal may see."""

    async def fetch(self, customer_ids: list[str]) -> list[BuyerRecord]:
        return await self.sources.mongo.buyers_by_emails(customer_ids)

    def customer_ids(self, user: UserRecord) -> Sequence[str]:
        return [email_key(user.email)]

    def places(self, scope: BackendScopeRecord) -> Sequence[str]:
        return [scope.erp_company or ""]
