"""What /docs says is what happens: requests made from the description, those that it forbids too."""

import os

import hypothesis
import pytest
import schemathesis

from service.http import app as application
from service.inference.predictor import Predictor
from service.settings import Settings

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 40))  # of each operation
description = schemathesis.openapi.from_asgi("/openapi.json", application.app)


@pytest.fixture
def served(small_models):
    application.serve(Predictor(small_models, "cpu", threads=1), Settings(models=small_models))
    yield
    application.app.state.batcher = None


@pytest.mark.usefixtures("served")
@description.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
def test_answers_are_as_described(case):
    # No schema can say which bytes are a picture of something, so what fits it may be refused.
    case.call_and_validate(excluded_checks=[schemathesis.checks.positive_data_acceptance])
