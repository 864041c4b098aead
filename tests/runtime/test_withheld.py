"""An object that the store hands to nobody is told from a store that hands out nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from runtime.errors import ObjectMissing, ObjectWithheld, Unavailable
from runtime.objects import ObjectStore, SmallObjects
from runtime.settings import ObjectStore as StoreSettings
from runtime.settings import Settings
from runtime.withheld import PROBE_KEY
from tests.runtime.withholding import Withholding, withholding

Way = Callable[[StoreSettings], ObjectStore | SmallObjects]
WAYS = pytest.mark.parametrize("way", [ObjectStore, SmallObjects])


@pytest.fixture(scope="module")
def settings(module_workspace: Mapping[str, str]) -> StoreSettings:
    return Settings.read(module_workspace).objects


@pytest.fixture
def front(settings: StoreSettings) -> Iterator[Withholding]:
    direct = ObjectStore(settings)
    direct.put("secret/a", b"one")
    direct.put("open/a", b"two")
    with withholding(settings.endpoint, settings.bucket) as rule:
        yield rule


@WAYS
@pytest.mark.parametrize("code", ["AccessDenied", "KMS.DisabledException", "InvalidObjectState"])
def test_one_object_is_withheld(way: Way, code: str, settings: StoreSettings, front: Withholding) -> None:
    front.code = code
    store = way(replace(settings, endpoint=front.endpoint))
    for _ in range(2):
        with pytest.raises(ObjectWithheld, match=code):
            store.get("secret/a")
    assert store.get("open/a") == b"two"


@WAYS
@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "KMS.ThrottlingException"])
def test_a_store_that_hands_out_nothing_is_waited_for(
    way: Way, code: str, settings: StoreSettings, front: Withholding
) -> None:
    front.code, front.prefix = code, ""
    store = way(replace(settings, endpoint=front.endpoint))
    with pytest.raises(Unavailable):
        store.get("secret/a")


@WAYS
def test_what_was_never_there_is_missing_and_not_withheld(
    way: Way, settings: StoreSettings, front: Withholding
) -> None:
    store = way(replace(settings, endpoint=front.endpoint))
    with pytest.raises(ObjectMissing) as raised:
        store.get("open/b")
    assert not isinstance(raised.value, ObjectWithheld)


def test_the_object_that_tells_them_apart_is_written_once(settings: StoreSettings, front: Withholding) -> None:
    store = SmallObjects(replace(settings, endpoint=front.endpoint))
    for _ in range(3):
        with pytest.raises(ObjectWithheld):
            store.get("secret/a")
    assert [key for key in ObjectStore(settings).keys("") if "/" not in key] == [PROBE_KEY]
