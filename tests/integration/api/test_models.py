"""The models that may be asked for, over the API."""


async def test_they_are_told_as_the_command_line_tells_them(api, runtime):
    found = (await api("GET", "/api/v1/models")).json["items"]
    assert found
    by_name = {each["model"]: each for each in found}
    echo = by_name["echo:echo"]
    assert (echo["input_usd"], echo["output_usd"], echo["price"]) == (0.0, 0.0, "free")
    assert set(by_name) == {
        f"{provider.name}:{info.name}"
        for provider in runtime.components.llm_providers.values()
        for info in provider.models()
    }
