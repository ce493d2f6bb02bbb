"""Addresses: the nearest to a place, and the place of an address."""

from locsvc.reference.addresses.importer import import_addresses
from locsvc.reference.addresses.places import AddressPlace
from locsvc.reference.addresses.store import AddressStore

__all__ = ["AddressPlace", "AddressStore", "import_addresses"]
