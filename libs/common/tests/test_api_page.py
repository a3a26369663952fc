"""The page that is made from an OpenAPI document."""

from cairn.common.api_page import api_page

SPEC = {
    "info": {"title": "Cairn <issuance>"},
    "paths": {
        "/livez": {"get": {"tags": ["health"], "summary": "It runs", "responses": {}}},
        "/v1/learners": {
            "post": {
                "tags": ["learners"],
                "summary": "Register",
                "security": [{"HTTPBearer": []}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/L"}}}},
                "responses": {
                    "409": {"$ref": "#/components/responses/taken"},
                    "201": {"description": "Successful Response"},
                },
            }
        },
    },
    "components": {
        "responses": {"taken": {"description": "Taken"}},
        "schemas": {
            "L": {
                "required": ["name"],
                "properties": {"name": {"type": "string", "description": "Who"}},
                "examples": [{"name": "Ada & <b>"}],
            }
        },
    },
}


def test_each_route_says_what_it_takes_and_what_it_answers() -> None:
    page = api_page("/issuance", SPEC)
    assert "Cairn &lt;issuance&gt;" in page
    assert "<b>POST</b> <code>/issuance/v1/learners</code> Register" in page
    assert "string, required. Who" in page
    assert "Ada &amp; &lt;b&gt;" in page
    assert "Taken" in page
    assert "Successful Response" not in page
    assert page.index("learners") < page.index("/livez")
    assert page.count("No token is needed") == 1
