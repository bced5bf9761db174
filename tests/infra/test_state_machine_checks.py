"""Reading state machines from a template, and the mistakes that no linter reports."""

from __future__ import annotations

from scripts.aws.state_machines import definitions, problems, resolve


def test_references_become_arns() -> None:
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":s3:::", {"Ref": "Bucket"}, "/*"]
    assert resolve({"Fn::Join": ["", parts]}) == (
        "arn:aws:s3:::arn:aws:lambda:eu-west-1:111111111111:function:Bucket/*"
    )
    assert resolve({"Fn::GetAtt": ["Work", "Arn"]}).endswith(":function:Work")


def test_only_state_machines_are_found() -> None:
    text = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    machine = {"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": text}}
    found = dict(definitions({"M": machine, "T": {"Type": "AWS::SNS::Topic"}}))
    assert found == {"M": {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}}


def test_a_path_that_would_be_literal_text_is_reported() -> None:
    state = {"ItemBatcher": {"BatchInput": {"job": "$.job", "other.$": "$.other", "n": 1}}}
    assert list(problems({"States": {"Map": state}})) == [
        "`States.Map.ItemBatcher.BatchInput.job` is the text `$.job`; did you mean `job.$`?"
    ]


def test_paths_where_they_belong_are_no_problem() -> None:
    state = {"InputPath": "$.a", "Parameters": {"a.$": "$.b", "deep": {"c.$": "$$.d"}}}
    assert list(problems({"States": {"Work": state}, "Choices": [{"Variable": "$.x"}]})) == []


def test_in_jsonata_a_path_needs_its_brackets() -> None:
    task = {"Arguments": {"Payload": {"job": "$states.input.job", "n": "{% $states.input.n %}"}}}
    (problem,) = problems({"QueryLanguage": "JSONata", "States": {"Work": task}})
    place, meant = "States.Work.Arguments.Payload.job", "{% $states.input.job %}"
    assert problem == f"`{place}` is the text `$states.input.job`; did you mean `{meant}`?"
