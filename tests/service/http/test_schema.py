"""The description is right: requests generated from it, allowed and forbidden, get the described answers."""

import os

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 15))  # of each operation and mode


def takes_input(operation):
    return len(operation.body) + len(operation.query) > 0


def is_list_of_one(case):
    form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return form and isinstance(case.body.get("images"), str)


@pytest.mark.parametrize("mode", GenerationMode)
def test_answers_are_as_described(app, mode):
    operations = [found.ok() for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations()]
    assert len(operations) >= 15
    for operation in filter(takes_input if mode is GenerationMode.NEGATIVE else None, operations):

        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
        def answer_is_as_described(case):
            # No schema can say which bytes are a picture of something, so what fits it may be refused.
            excluded = [schemathesis.checks.positive_data_acceptance]
            answer = case.call()
            # 413 does not count as a refusal there. One text in a form, where a list is allowed, is a list of one.
            if answer.status_code == 413 or is_list_of_one(case):
                excluded.append(schemathesis.checks.negative_data_rejection)
            case.validate_response(answer, excluded_checks=excluded)

        answer_is_as_described()
