from tests.faxgw.api.conftest import Client
from tests.faxgw.api.people import Person


async def test_a_key_says_whose_it_is(client: Client, owner: Person) -> None:
    answer = await client.get("/v1/self")
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["id"] == str(owner.user_id)
    assert answer.json()["tenant"]["id"] == str(owner.tenant_id)
